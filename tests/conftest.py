"""What runs beside what when pytest has two workers: the tests in real time follow one another on one of them.

Property tests have no deadline of their own.
"""

from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

#: The tests that pace serial lines and start daemons; two at a time would disturb each other.
REAL_TIME = "tests/system/"

# a machine under load is no failure of what is tested; whoever bounds a time says so in the test
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


class RealTimeApart(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """A worker takes a whole file, and whoever takes the first test of REAL_TIME takes them all."""

    def _split_scope(self, nodeid: str) -> str:
        return REAL_TIME if nodeid.startswith(REAL_TIME) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> RealTimeApart:
    return RealTimeApart(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests in real time: they take longest."""
    root = Path(__file__).parents[1] / REAL_TIME
    items.sort(key=lambda item: root not in item.path.parents)
