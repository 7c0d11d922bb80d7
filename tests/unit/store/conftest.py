"""A store in a file of its own, with a clock that tests move."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dcu.store import Store
from tests.captures import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path, clock: SetClock) -> AsyncIterator[Store]:
    async with Store.open(path, clock) as opened:
        yield opened
