"""What is expected of whom, how much of it is here, and who hears of it when that is too little."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcu.archive import EXPLORED, Archive, Kept
from dcu.clock import DAY, iso
from dcu.conversation.exploring import to_data
from dcu.conversation.shapes import Shape
from dcu.health import Health
from dcu.model import INSTANT, Attribute, Column, Command, Meter, Reason, Task
from dcu.plan.backfill import Range
from dcu.plan.ledger import Asked
from dcu.profiles import load_profile
from dcu.store import Store
from dcu.watching.completeness import LEDGER_BOUND, Completeness
from tests.captures import SetClock, capture
from tests.lines import COMPANION

#: A few seconds after a quarter hour, when the one before it is over.
START = 1_790_000_105.0
QUARTER = int(START) // 900 * 900

TASKS = (
    Task(INSTANT, 900.0),
    Task("load0", 900.0, offset=5.0, backfill=3600.0),
    Task("billing", 86_400.0),
    Task("elsewhere", 900.0),
)


GAPS, LEDGER = "dcu.gaps", "dcu.ledger"


class Desk:
    """Two meters in a real store, one of them in a group that reads nothing but days; `reports` are the events."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.store, self.clock = store, clock
        self.health = Health()
        self.reports: list[tuple[str, dict[str, object]]] = []
        self.reasons = {"M1": Reason.UNREACHABLE}
        timetables = {"": TASKS, "daily": (Task("daily", 86_400.0),)}
        meters = [Meter("M1", "a", 17, "reader", "idis"), Meter("M2", "a", 18, "reader", "idis")]
        self.archive = Archive(meters, {"idis": COMPANION}, timetables, store.descriptors, store.ledger, Kept())
        self.flow = Completeness(store, self.archive, timetables, self._why, clock, self.health, self._report)

    def _why(self, meter: str) -> Reason:
        return self.reasons.get(meter, Reason.PENDING)

    async def _report(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.reports.append((name, detail))

    async def read(self, meter: str, start: int, *times: int) -> None:
        rows = [capture(at, meter) for at in times]
        await self.store.readings.record(rows, {}, asked={(meter, "load0"): [Asked(start, times[-1], 900)]})

    async def ask(self, name: str, **args: object) -> dict[str, Any]:
        return await self.flow.commands[name](Command("c1", name, args=args))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = SetClock(START)
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Desk(store, clock)


async def test_what_the_timetable_reads_is_expected_from_the_backfill_on(desk: Desk) -> None:
    await desk.flow.step()
    found = await desk.store.database.read(
        "SELECT meters.name, streams.name, since FROM marks JOIN meters USING (meter) JOIN streams USING (stream) "
        "WHERE since IS NOT NULL ORDER BY 1, 2"
    )
    sinces = (("billing", int(START)), ("load0", QUARTER - 2700))
    assert found == [(meter, stream, since) for meter in ("M1", "M2") for stream, since in sinces]


async def test_a_clock_that_was_never_set_expects_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.clock, "trusted", lambda: False)
    await desk.flow.step()
    assert await desk.store.database.read("SELECT count(*) FROM marks") == [(0,)]
    monkeypatch.undo()
    await desk.flow.step()
    assert await desk.store.database.read("SELECT count(*) FROM marks") == [(4,)]


async def test_each_group_has_what_it_reads(desk: Desk) -> None:
    desk.archive._meters["M2"] = replace(desk.archive.meter("M2"), group="daily")
    await desk.flow.step()
    found = await desk.store.database.read(
        "SELECT meters.name, streams.name FROM marks JOIN meters USING (meter) "
        "JOIN streams USING (stream) WHERE since IS NOT NULL ORDER BY 1, 2"
    )
    assert found == [("M1", "billing"), ("M1", "load0"), ("M2", "daily")]


async def test_what_a_meter_lacks_is_not_expected_of_it_and_a_new_meter_is_expected(desk: Desk) -> None:
    desk.archive._shapes["M1"] = {"load0": Shape((), 0)}
    desk.archive._meters.pop("M2")
    await desk.flow.step()
    assert await desk.store.database.read("SELECT count(*) FROM marks WHERE since IS NOT NULL") == [(1,)]
    desk.archive._meters["M3"] = Meter("M3", "a", 19, "reader", "idis")
    await desk.flow.step()
    assert await desk.store.database.read("SELECT count(*) FROM marks WHERE since IS NOT NULL") == [(3,)]


async def test_of_a_meter_that_is_explored_what_it_was_found_to_have_is_expected_and_after_a_restart_too(
    desk: Desk,
) -> None:
    generic = load_profile("generic")
    found = replace(COMPANION, name=generic.name)
    line = Meter("M1", "a", 17, "reader", "generic")

    async def since() -> list[tuple[object, ...]]:
        return await desk.store.database.read(
            "SELECT since FROM marks JOIN streams USING (stream) WHERE name = 'load0'"
        )

    def again() -> Completeness:
        desk.archive = Archive(
            [line], {"generic": generic}, {"": TASKS}, desk.store.descriptors, desk.store.ledger, Kept()
        )
        return Completeness(desk.store, desk.archive, {"": TASKS}, desk._why, desk.clock, desk.health, desk._report)

    flow = again()
    await flow.step()
    assert await since() == []
    await desk.store.descriptors.put("M1", EXPLORED, to_data(found))
    await desk.archive.recall()
    await flow.step()
    assert await since() == [(QUARTER - 2700,)]
    desk.clock.time += 7200.0
    await again().step()
    assert await since() == [(QUARTER - 2700,)]


async def test_a_meter_that_was_never_read_is_asked_from_where_it_is_expected_on(desk: Desk) -> None:
    await desk.flow.step()
    shape = Shape((Column(8, bytes(6)),), 900)
    for later in (0.0, 1800.0):
        spans = desk.archive.ranges("M1", {"load0": shape}, int(START + later))
        assert spans == {"load0": Range(QUARTER - 2700, int(START + later), more=False)}
    assert (await desk.store.readings.watermarks())["M1", "load0"] == QUARTER - 2701


async def test_success_is_of_the_last_period_and_of_the_day(desk: Desk) -> None:
    await desk.flow.step()
    await desk.read("M1", QUARTER - 3600, QUARTER - 2700, QUARTER - 900, QUARTER)
    await desk.flow.step()
    success = desk.health.success["load0"]
    # the quarter hour that has just begun is not over yet
    assert (success.expected, success.read, success.share, success.until) == (2, 1, 0.5, QUARTER - 900)
    assert success.day == pytest.approx(2 / 6)
    assert list(desk.health.success) == ["load0"]


async def test_a_period_below_target_is_reported_once_when_it_is_over(desk: Desk) -> None:
    await desk.flow.step()  # what was over before the start is not judged
    await desk.read("M1", QUARTER - 3600, QUARTER - 900, QUARTER)
    assert desk.reports == []
    for _ in range(3):
        desk.clock.time += 300.0
        await desk.flow.step()
    ((name, detail),) = desk.reports
    assert name == "collection below target"
    assert detail == {
        "stream": "load0",
        "until": iso(QUARTER),
        "expected": 2,
        "read": 1,
        "target": 0.985,
        "missing": {"open": 1},
    }
    await desk.read("M1", QUARTER + 1, QUARTER + 900)
    await desk.read("M2", QUARTER + 1, QUARTER + 900)
    desk.clock.time += 900.0
    await desk.flow.step()
    assert len([each for each in desk.reports if each[1]["stream"] == "load0"]) == 1


async def test_gaps_are_told_with_reasons_and_what_is_open_with_the_reason_of_now(desk: Desk) -> None:
    await desk.flow.step()
    await desk.read("M1", QUARTER - 3600, QUARTER - 2700, QUARTER - 900)
    await desk.store.readings.record([], {}, asked={("M9", "load0"): [Asked(QUARTER - 4050, QUARTER - 1800, 900)]})
    desk.reasons["M2"] = Reason.LINE
    desk.clock.time += 900.0
    found = await desk.ask(GAPS)
    assert found["more"] is None
    told = [(gap["meter"], gap["from"], gap["to"], gap["intervals"], gap["reason"]) for gap in found["gaps"]]
    first, last = iso(QUARTER - 1800), iso(QUARTER)
    assert told[0] == ("M1", first, first, 1, "meter has no record")
    assert told[1] == ("M1", last, last, 1, "unreachable")
    assert told[2] == ("M2", iso(QUARTER - 2700), last, 4, "line error")
    # of a meter that is in no archive any more
    assert {line[4] for line in told if line[0] == "M9"} == {"meter has no record", "not configured"}
    assert [gap["open"] for gap in found["gaps"][:3]] == [False, True, True]


async def test_what_a_backfill_has_left_is_missing_for_the_reason_of_now(desk: Desk) -> None:
    asked = Asked(QUARTER - 899, QUARTER, 900, since=QUARTER - 1800)
    await desk.store.readings.record([capture(QUARTER)], {}, asked={("M1", "load0"): [asked]})
    desk.clock.time += 900.0
    (gap,) = (await desk.ask(GAPS))["gaps"]
    assert (gap["reason"], gap["open"], gap["intervals"]) == ("unreachable", True, 2)
    desk.reasons.clear()
    (gap,) = (await desk.ask(GAPS))["gaps"]
    assert gap["reason"] == "not read yet"


async def test_gaps_come_in_pages(desk: Desk) -> None:
    await desk.flow.step()
    await desk.read("M1", QUARTER - 3600, QUARTER - 2700, QUARTER - 900)
    whole = (await desk.ask(GAPS, meter="M1"))["gaps"]
    assert len(whole) == 1
    assert (await desk.ask(GAPS, meter="M1", limit=1)) == {"gaps": whole, "more": None}
    both = await desk.ask(GAPS, limit=1)
    assert both["more"] == f"M1/load0/{QUARTER - 1800}"
    assert [gap["meter"] for gap in (await desk.ask(GAPS, after=both["more"]))["gaps"]] == ["M2"]
    assert (await desk.ask(GAPS, stream="daily"))["gaps"] == []
    assert [gap["meter"] for gap in (await desk.ask(GAPS, since=QUARTER - 900))["gaps"]] == ["M2"]


async def test_the_ledger_goes_from_what_is_expected_to_what_is_acknowledged(desk: Desk) -> None:
    await desk.flow.step()
    await desk.read("M1", QUARTER - 3600, QUARTER - 2700, QUARTER - 900)
    await desk.store.readings.record([capture(QUARTER, stream=INSTANT)], {})
    block = await desk.store.outbox.next_block("load0", 1)
    assert block is not None
    desk.clock.time += 900.0
    streams = (await desk.ask(LEDGER))["streams"]
    assert streams["load0"] == {
        "expected": 8,
        "read": 2,
        "open": 5,
        "missing": {"meter has no record": 1},
        "stored": 2,
        "delivered": 1,
        "acknowledged": 0,
    }
    assert (streams[INSTANT]["expected"], streams[INSTANT]["stored"]) == (None, 1)
    one = await desk.ask(LEDGER, meter="M2", stream="load0", since=QUARTER - 900)
    assert one["streams"] == {
        "load0": {"expected": 2, "read": 0, "open": 2, "missing": {}, "stored": 0, "delivered": 0, "acknowledged": 0}
    }
    assert (await desk.ask(LEDGER, since=0))["since"] == iso(int(desk.clock.time) - LEDGER_BOUND)
    assert DAY < LEDGER_BOUND


def rounds(desk: Desk, number: int, readings: int, stream: str = INSTANT) -> None:
    """Count so many readings in the round that begins `number` quarter hours from now."""
    for reading in range(readings):
        desk.health.moments.count(stream, QUARTER + 900.0 * number + 10.0 * reading)


async def test_moments_have_no_gaps_and_count_all_the_same(desk: Desk) -> None:
    rounds(desk, 0, 2)
    await desk.flow.step()
    desk.clock.time += 900.0
    await desk.flow.step()
    # that round had begun before we did
    assert INSTANT not in desk.health.success
    rounds(desk, 1, 2)
    rounds(desk, 2, 1)
    desk.clock.time += 900.0
    await desk.flow.step()
    success = desk.health.success[INSTANT]
    assert (success.expected, success.read, success.share, success.until) == (2, 2, 1.0, QUARTER + 1800)
    told = [each for each in desk.reports if each[1]["stream"] == INSTANT]
    assert told == []
    for _ in range(2):
        desk.clock.time += 450.0
        await desk.flow.step()
    success = desk.health.success[INSTANT]
    assert (success.read, success.share, success.day) == (1, 0.5, 0.75)
    ((_, detail),) = [each for each in desk.reports if each[1]["stream"] == INSTANT]
    assert detail["missing"] == {"meter has no record": 1, "open": 0}
    assert (await desk.ask(GAPS, stream=INSTANT))["gaps"] == []


async def test_a_meter_is_expected_as_often_as_its_own_group_reads_it(desk: Desk) -> None:
    often = Task(INSTANT, 300.0)
    desk.flow._timetables = {"": TASKS, "daily": (often,)}
    desk.archive.add(Meter("M3", "a", 19, "reader", "idis", group="daily"))
    await desk.flow.step()
    desk.clock.time += 1800.0
    rounds(desk, 1, 9)
    await desk.flow.step()
    success = desk.health.success[INSTANT]
    # two meters once, one three times; what came beyond that is not more than all
    assert (success.expected, success.read) == (5, 5)


async def test_lists_of_ones_own_are_moments_and_meters_without_registers_are_not_asked_for_them(desk: Desk) -> None:
    mine = Task("mine", 900.0, objects=(Attribute(3, b"\x01\x00\x01\x08\x00\xff"),))
    desk.flow._timetables = {"": (Task(INSTANT, 900.0), mine)}
    bare = replace(COMPANION, name="bare", registers=())
    desk.archive.add(Meter("M3", "a", 19, "reader", "bare"), bare)
    await desk.flow.step()
    desk.clock.time += 1800.0
    rounds(desk, 1, 3, "mine")
    await desk.flow.step()
    counts = {stream: (each.expected, each.read) for stream, each in desk.health.success.items()}
    assert counts == {INSTANT: (2, 0), "mine": (3, 3)}
