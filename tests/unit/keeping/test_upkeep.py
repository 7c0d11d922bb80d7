"""The store's file looked after: what happened to it is told once, checks and a new spare come at their times."""

from pathlib import Path

import pytest

from dcu.errors import DamagedError
from dcu.keeping.upkeep import CHECK_EVERY, RENEW_EVERY, Upkeep
from dcu.store import Mishap, Salvaged
from tests.stand_in import store_of


class File:
    def __init__(self, mishap: Mishap | None = None) -> None:
        self.mishap = mishap
        self.done: list[str] = []
        self.damaged = False
        self.salvaged: Salvaged | None = None

    async def streams(self) -> dict[str, int]:
        return {"load0": 700, "daily": 5}

    async def bring_owed(self) -> None:
        self.done.append("owed")

    async def bring_rest(self) -> Salvaged | None:
        return self.salvaged

    async def newest(self) -> tuple[int, bytes]:
        return 0, bytes(32)

    async def inspect(self) -> None:
        self.done.append("inspect")
        if self.damaged:
            raise DamagedError("malformed")

    async def renew_spare(self) -> None:
        self.done.append("renew")


class Events:
    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    async def __call__(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.told.append((name, detail))


async def test_what_happened_is_told_once_with_the_numbers_that_leapt() -> None:
    events = Events()
    mishap = Mishap("store damaged", "malformed", Path("/data/store.db.damaged-1"), ("load0",))
    upkeep = Upkeep(store_of(File(mishap)), events)
    await upkeep.tell()
    await upkeep.tell()
    detail = {"reason": "malformed", "aside": "store.db.damaged-1", "streams": {"load0": 700}}
    assert events.told == [("store damaged", detail)]


async def test_where_nothing_happened_nothing_is_told() -> None:
    events = Events()
    await Upkeep(store_of(File()), events).tell()
    assert events.told == []


async def test_the_file_is_checked_once_a_week_and_the_spare_renewed_every_day() -> None:
    file = File()
    upkeep = Upkeep(store_of(file), Events())
    days = round(CHECK_EVERY / RENEW_EVERY)
    for _ in range(days + 1):
        await upkeep.step()
    assert file.done == ["inspect", *["renew"] * days, "inspect", "renew"]


async def test_what_came_of_a_salvage_is_told() -> None:
    file, events = File(), Events()
    await Upkeep(store_of(file), events).salvage()
    assert events.told == []
    file.salvaged = Salvaged(900, 2, 1)
    await Upkeep(store_of(file), events).salvage()
    assert events.told == [("store salvaged", {"captures": 900, "unreadable": 2, "again": 1})]


async def test_damage_ends_the_flow() -> None:
    file = File()
    file.damaged = True
    with pytest.raises(DamagedError):
        await Upkeep(store_of(file), Events()).step()
