"""Which tests run one after the other: those that pace serial lines and start daemons, in real time."""

from pathlib import Path

import pytest

REAL_TIME = Path(__file__).parent / "system"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of tests/system on one of two workers, and begin with them since they take longest."""
    items.sort(key=lambda item: REAL_TIME not in item.path.parents)
    for item in items:
        if REAL_TIME in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("real time"))
