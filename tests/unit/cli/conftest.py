"""The door that tests of `dcuctl` ask at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .door import Door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path / "s")
    yield opened
    opened.close()
