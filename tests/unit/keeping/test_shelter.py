"""A store that fails for a time: rows that cannot be asked for again wait, bounded, and are recorded once, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dcu.errors import DamagedError, ShelteredError, StoreError
from dcu.health import Health
from dcu.keeping import shelter as module
from dcu.keeping.shelter import NAME, Shelter, Sheltered
from dcu.model import Capture
from dcu.plan.ledger import Asked
from dcu.store import Recorded
from tests.captures import SetClock, capture

EVENTS = "event.dcu"


class Disk:
    """A store that fails while `failure` is set, and while it is `full` takes events only."""

    def __init__(self) -> None:
        self.full = False
        self.failure: StoreError | None = None
        self.rows: list[Capture] = []
        self.heard: dict[str, int] = {}

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        if self.failure:
            raise self.failure
        if self.full and any(each.stream != EVENTS for each in captures):
            raise StoreError("the disk is full of data")
        self.rows += captures
        self.heard |= heard or {}
        return Recorded({})

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        return self.rows[-limit:]


class Bench:
    def __init__(self) -> None:
        self.disk, self.health, self.clock = Disk(), Health(), SetClock()
        self.shelter = Shelter(self.disk, self.clock, self.health)
        self.shelter.report = self.report
        self.told: list[tuple[str, dict[str, object]]] = []

    async def report(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.told.append((name, detail))

    async def refused(self, *rows: Capture, marks: Mapping[tuple[str, str], int] | None = None) -> None:
        with pytest.raises(ShelteredError, match="disk is full"):
            await self.shelter.record(rows, marks or {}, {"m": 7})


@pytest.fixture
def bench() -> Bench:
    return Bench()


def instant(at: int, meter: str = "M1") -> Capture:
    return capture(at, meter, "instant")


async def test_while_the_store_keeps_nothing_waits(bench: Bench) -> None:
    await bench.shelter.record([instant(1)], {})
    assert (bench.disk.rows, len(bench.shelter), bench.told) == ([instant(1)], 0, [])


async def test_what_cannot_be_asked_again_waits_and_comes_first(bench: Bench) -> None:
    bench.disk.failure = StoreError("disk is full")
    await bench.refused(instant(1), capture(900), marks={("M1", "load0"): 900})
    bench.clock.time += 60
    await bench.refused(instant(2, "M2"))
    assert bench.health.store_errors == {NAME: "disk is full; 2 rows wait in memory"}
    bench.disk.failure = None
    bench.clock.time += 60
    await bench.shelter.record([instant(3)], {})
    assert bench.disk.rows == [instant(1), instant(2, "M2"), instant(3)]
    assert bench.disk.heard == {"m": 7}
    assert bench.health.store_errors == {}
    [(name, detail)] = bench.told
    assert (name, detail["since"], detail["until"]) == (
        "store failing",
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:02:00Z",
    )
    await bench.shelter.record([instant(4)], {})
    assert len(bench.told) == 1


async def test_a_full_shelter_refuses_and_keeps_what_it_has(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHELTERED_ROWS", 2)
    bench.disk.failure = StoreError("disk is full")
    await bench.refused(instant(1), instant(2))
    with pytest.raises(StoreError) as caught:
        await bench.shelter.record([instant(3)], {})
    assert not isinstance(caught.value, ShelteredError)
    await bench.refused(capture(900), marks={("M1", "load0"): 900})
    bench.disk.failure = None
    await bench.shelter.record([], {})
    assert bench.disk.rows == [instant(1), instant(2)]


async def test_what_a_full_store_refuses_keeps_no_event_out_of_it(bench: Bench) -> None:
    bench.disk.full = True
    mixed = instant(1), capture(2, stream=EVENTS)
    with pytest.raises(ShelteredError):
        await bench.shelter.record(mixed, {}, {"m": 7})
    event = capture(3, stream=EVENTS)
    await bench.shelter.record([event], {})
    await bench.shelter.record([], {("M1", "load0"): 900})
    assert bench.disk.rows == [mixed[1], event]
    assert bench.disk.heard == {"m": 7}
    assert (len(bench.shelter), bench.told) == (1, [])
    with pytest.raises(ShelteredError):
        await bench.shelter.record([instant(4)], {})
    bench.disk.full = False
    await bench.shelter.record([], {})
    assert bench.disk.rows[2:] == [instant(1), instant(4)]
    assert [name for name, _ in bench.told] == ["store failing"]


async def test_what_waits_outlives_a_store_that_is_opened_anew() -> None:
    waiting, clock, failing, anew = Sheltered(), SetClock(), Disk(), Disk()
    failing.failure = StoreError("the store has to be opened anew")
    with pytest.raises(ShelteredError):
        await Shelter(failing, clock, Health(), waiting).record([instant(1)], {}, {"m": 7})
    shelter = Shelter(anew, clock, Health(), waiting)
    await shelter.record([instant(2)], {})
    assert (anew.rows, anew.heard, len(shelter)) == ([instant(1), instant(2)], {"m": 7}, 0)


async def test_a_damaged_file_is_nobodys_to_wait_for(bench: Bench) -> None:
    bench.disk.failure = DamagedError("malformed")
    with pytest.raises(DamagedError):
        await bench.shelter.record([instant(1)], {})
    assert len(bench.shelter) == 0


async def test_while_the_store_fails_a_visit_tries_a_piece_of_what_waits_and_afterwards_all_comes_in_order() -> None:
    bench, tried = Bench(), list[int]()
    record = bench.disk.record

    async def counted(captures: Sequence[Capture], *rest: Any, **more: Any) -> Recorded:
        tried.append(len(captures))
        return await record(captures, *rest, **more)

    bench.disk.record = counted  # type: ignore[method-assign]  # counts what is tried
    bench.disk.failure = StoreError("the disk is full")
    waiting = [capture(1_700_000_000 + n, stream="instant") for n in range(3 * module.PIECE)]
    for each in waiting:
        with pytest.raises(ShelteredError):
            await bench.shelter.record([each], {})
    assert max(tried) == module.PIECE
    bench.disk.failure = None
    await bench.shelter.record([], {})
    assert bench.disk.rows == waiting
    assert not len(bench.shelter)
