"""What a visit asks and what it makes of the answers: against simulated meters, and against meters that lie."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from dcu.clock import Clock
from dcu.conversation.session import Session
from dcu.conversation.shapes import BUFFER, Shape, learn
from dcu.conversation.visit import Findings, Reading
from dcu.dlms.moment import DateTime
from dcu.dlms.services import AccessError, Get
from dcu.model import INSTANT, Attribute, Capture, Column, Meter, Reason
from dcu.obis import parse_obis
from dcu.plan.backfill import CLOCK_LOST, SETTLED, Range
from dcu.plan.ledger import Asked
from dcu.profiles import load_profile
from sim.fleet import FleetPlan
from sim.truth import expected_times, expected_values
from sim.virtual import VirtualClock
from tests.captures import SetClock
from tests.lines import COMPANION, ORIGIN, Box, virtually
from tests.scripts import Scripted, scripted

LOAD = Shape((Column(8, parse_obis("0-0:1.0.0.255")), Column(3, parse_obis("1-0:1.8.0.255"), unit=30)), 900)
EVENTS = Shape((LOAD.columns[0], Column(1, parse_obis("0-0:96.11.1.255"))), 0)
METER = Meter("M1", "a", 17, "reader", "idis")
NOW = 1_790_000_105
QUARTER = NOW // 900 * 900


class Still(SetClock):
    """The wall shows `time`, `waited` seconds after a scripted session asked."""

    def __init__(self, time: float, waited: float = 0.0) -> None:
        super().__init__(time)
        self.waited = waited

    def monotonic(self) -> float:
        return self.waited


def octets(at: int) -> bytes:
    return DateTime.from_utc(at).to_bytes()


PRESENT = octets(NOW)
INVALID = b"\xff" * 12


async def take(
    wanted: Mapping[str, Range | None],
    rows: Any,
    *,
    shapes: Mapping[str, Shape] | None = None,
    clock: Any = PRESENT,
    at: Clock | None = None,
) -> Findings:
    """Read a meter that shows `clock` and answers `rows`, by stream where it is a dict."""

    def answer(item: Get) -> Any:
        if item.attribute == COMPANION.clock:
            return clock
        streams = {each.name: stream for stream, each in COMPANION.streams.items()}
        return rows[streams[item.attribute.name]] if isinstance(rows, dict) else rows

    reading = Reading(METER, COMPANION, shapes or {"load0": LOAD, "event.fraud": EVENTS}, wanted)
    return await reading.take(scripted(answer), at or Still(NOW))


def reached(found: Findings) -> dict[tuple[str, str], int]:
    """Return up to when each stream is settled."""
    return {key: asked[-1].end for key, asked in found.asked.items()}


def row(at: int, value: Any = 7) -> list[Any]:
    return [octets(at), value]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("spread", [0.0, 40.0])
def test_instantaneous_values_are_of_the_second_the_meter_names(number: int, spread: float) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=0, seed=4, clock_spread=spread))
        session = await box.session(number)
        shapes = await learn(session, COMPANION, [INSTANT])
        found = await Reading(box.entry(number), COMPANION, shapes, {INSTANT: None}).take(session, clock)
        (capture,) = found.captures
        meter = box.meters[number]
        assert capture.values == expected_values(meter, capture.columns, capture.at)
        assert (capture.meter, capture.stream, capture.trusted) == (meter.id, INSTANT, True)
        # the clock shows whole seconds
        assert found.offset is not None
        assert round(found.offset, 3) == capture.offset
        assert capture.offset == pytest.approx(meter.plate.clock_offset, abs=1.0)
        assert reached(found) == {}
        await session.close()

    virtually(work)


def test_rows_are_those_the_meter_held_and_the_watermark_is_the_newest() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        shapes = await learn(session, COMPANION, ["load0", "load1"])
        now = int(clock.now())
        wanted = {"load0": Range(now - 7200, now, more=False), "load1": Range(now - 86_400, now - 7200, more=True)}
        found = await Reading(box.entry(), COMPANION, shapes, wanted).take(session, clock)
        for stream, span in wanted.items():
            captures = [capture for capture in found.captures if capture.stream == stream]
            times = expected_times(box.meters[0], COMPANION.streams[stream].name, span.start, span.end)
            assert [capture.at for capture in captures] == list(times)
            assert all(c.values == expected_values(box.meters[0], c.columns, c.at) for c in captures)
        newest = now // 900 * 900
        assert reached(found) == {("M0001", "load0"): newest, ("M0001", "load1"): now - 7200}
        assert found.more == ["load1"]
        await session.close()

    virtually(work)


async def test_rows_that_were_not_asked_for_are_refused_and_move_nothing() -> None:
    span = Range(QUARTER - 1800, NOW, more=False)
    rows = [row(QUARTER - 9000), row(QUARTER - 900), row(QUARTER + 90_000)]
    found = await take({"load0": span}, rows)
    assert [capture.at for capture in found.captures] == [QUARTER - 900]
    assert reached(found) == {("M1", "load0"): QUARTER - 900}


async def test_without_rows_the_watermark_stays_unless_the_slice_is_past() -> None:
    assert reached(await take({"load0": Range(NOW - 900, NOW, more=False)}, [])) == {}
    past = await take({"load0": Range(NOW - 90_000, NOW - 8000, more=True)}, [])
    assert reached(past) == {("M1", "load0"): NOW - 8000}
    assert past.more == ["load0"]


async def test_the_second_that_runs_is_left_for_the_next_visit() -> None:
    rows = [row(NOW - 1), row(NOW)]
    found = await take({"event.fraud": Range(NOW - 60, NOW, more=False)}, rows)
    assert [capture.at for capture in found.captures] == [NOW - 1]


async def test_a_slice_that_a_slow_clock_has_not_passed_is_not_done() -> None:
    """The meter is two days behind: what it will capture in those days must still be asked for, and not at once."""
    slow = NOW - 2 * 86_400
    span = Range(slow - 7200, slow + 79_200 - 1, more=True)
    found = await take({"load0": span}, [row(slow - 900)], clock=octets(slow))
    assert reached(found) == {("M1", "load0"): slow - 900}
    assert found.more == []


async def test_a_clock_far_behind_the_watermark_moves_nothing() -> None:
    span = Range(NOW - 90_000, NOW - 8000, more=True)
    found = await take({"load0": span}, [row(NOW - 300_000)], clock=octets(NOW - 299_000))
    assert (found.captures, reached(found), found.more) == ([], {}, [])


@pytest.mark.parametrize(("shown", "end"), [(1000, NOW - 89_000), (NOW + CLOCK_LOST + 60, NOW - SETTLED)])
async def test_what_a_meter_that_lost_the_time_does_not_have_is_missing_for_its_clock(shown: int, end: int) -> None:
    """A flat battery: it captures under other dates. What is long past by both clocks will not come under its own."""
    span = Range(NOW - 90_000, NOW, more=False)
    found = await take({"load0": span}, [row(shown), row(NOW - 89_000)], clock=octets(shown))
    assert [capture.at for capture in found.captures] == [NOW - 89_000]
    assert found.asked == {("M1", "load0"): [Asked(span.start, end, 900, Reason.CLOCK)]}


async def test_a_row_that_cannot_be_used_leaves_a_place_that_says_so() -> None:
    span = Range(QUARTER - 1799, QUARTER, more=True)
    found = await take({"load0": span}, [row(QUARTER - 900), [octets(QUARTER)]])
    assert found.asked == {("M1", "load0"): [Asked(span.start, span.end, 900, dropped=(QUARTER,))]}


async def test_a_slice_of_the_past_is_asked_beside_what_is_new() -> None:
    new, past = Range(QUARTER - 899, NOW, more=False), Range(QUARTER - 9000, QUARTER - 8101, more=True)
    session = Scripted(
        lambda item: PRESENT if item.attribute == COMPANION.clock else [row(QUARTER - 9000), row(QUARTER)]
    )
    reading = Reading(METER, COMPANION, {"load0": LOAD}, {"load0": new}, {"load0": past})
    found = await reading.take(cast("Session", session), Still(NOW))
    assert len([item for item in session.asked if item.selection]) == 2
    assert [capture.at for capture in found.captures] == [QUARTER, QUARTER - 9000]
    expected = [Asked(new.start, QUARTER, 900), Asked(past.start, past.end, 900)]
    assert found.asked == {("M1", "load0"): expected}
    assert found.more == ["load0"]


async def test_of_an_answer_that_was_cut_the_rest_is_asked_for_at_once_and_counts_as_nothing_yet() -> None:
    span = Range(QUARTER - 90 * 900 + 1, NOW, more=False)
    found = await take({"load0": span}, [row(QUARTER - 89 * 900), row(QUARTER - 88 * 900)])
    assert found.asked == {("M1", "load0"): [Asked(span.start, QUARTER - 88 * 900, 900)]}
    assert found.more == ["load0"]
    unusable = [[octets(QUARTER - 87 * 900)]]
    found = await take({"load0": span}, [row(QUARTER - 88 * 900), *unusable])
    [asked] = found.asked["M1", "load0"]
    assert asked == Asked(QUARTER - 88 * 900, QUARTER - 87 * 900, 900, dropped=(QUARTER - 87 * 900,))


async def test_an_answer_without_rows_settles_nothing_unless_it_is_the_second() -> None:
    span = Range(NOW - 90_000, NOW, more=False)
    found = await take({"load0": span}, [])
    assert found.asked == {("M1", "load0"): [Asked(span.start, NOW - SETTLED, 900, Reason.PENDING)]}
    assert found.more == []
    found = await take({"load0": replace(span, again=True)}, [])
    assert found.asked == {("M1", "load0"): [Asked(span.start, NOW - SETTLED, 900)]}


async def test_a_slice_of_the_past_is_settled_whole_by_a_meter_that_has_lost_the_time() -> None:
    new, past = Range(QUARTER - 899, NOW, more=False), Range(QUARTER - 9000, QUARTER - 8100, more=True)
    answers = iter([octets(1000), [], []])
    reading = Reading(METER, COMPANION, {"load0": LOAD}, {"load0": new}, {"load0": past})
    found = await reading.take(scripted(lambda _: next(answers)), Still(NOW))
    assert found.asked == {("M1", "load0"): [Asked(past.start, past.end, 900, Reason.CLOCK)]}


async def test_under_a_meter_clock_that_shows_nothing_dcu_time_labels_the_moment() -> None:
    shapes = {INSTANT: Shape((LOAD.columns[1],), 0), "load0": LOAD}
    rows = {"load0": [row(QUARTER - 900), row(QUARTER)]}

    def answer(item: Get) -> Any:
        if item.attribute == COMPANION.clock:
            return INVALID
        return rows["load0"] if item.attribute.index == BUFFER and item.attribute.class_id == 7 else 5

    wanted = {INSTANT: None, "load0": Range(QUARTER - 1800, NOW, more=False)}
    found = await Reading(METER, COMPANION, shapes, wanted).take(scripted(answer), Still(NOW + 0.75))
    assert found.offset is None
    assert found.captures[0] == Capture(
        "M1", INSTANT, NOW, 0xFF, (5,), shapes[INSTANT].columns, NOW + 0.75, None, trusted=True
    )
    # rows bear their own time
    assert [capture.at for capture in found.captures[1:]] == [QUARTER - 900, QUARTER]


@pytest.mark.parametrize("clock", [AccessError(3), 12, None, b"", b"\x07", "noon"])
async def test_a_clock_that_is_refused_or_none_costs_only_itself(clock: Any) -> None:
    found = await take({"load0": Range(NOW - 900, NOW, more=False)}, [row(NOW - 500)], clock=clock)
    assert ([capture.at for capture in found.captures], found.offset) == ([NOW - 500], None)


async def test_the_meters_clock_is_compared_with_ours_at_the_moment_of_the_question() -> None:
    found = await take({}, [], clock=octets(NOW), at=Still(NOW + 2.5, waited=3.0))
    assert found.offset == 1.0  # the second that was read is half over


async def test_the_clock_may_come_as_the_younger_type_too() -> None:
    wanted = {"load0": Range(NOW - 900, NOW, more=False)}
    found = await take(wanted, [row(NOW - 500)], clock=DateTime.from_utc(NOW - 3))
    assert found.offset == -2.5


@pytest.mark.parametrize(("refusal", "reason"), [(AccessError(3), "denied"), (17, "profile"), (None, "profile")])
async def test_a_profile_that_cannot_be_read_costs_the_others_nothing(refusal: Any, reason: str) -> None:
    wanted = {stream: Range(NOW - 900, NOW, more=False) for stream in ("load0", "event.fraud")}
    found = await take(wanted, {"load0": refusal, "event.fraud": [row(NOW - 60)]})
    assert list(found.refused) == ["load0"]
    assert reason in found.refused["load0"]
    assert [capture.stream for capture in found.captures] == ["event.fraud"]
    assert reached(found) == {("M1", "event.fraud"): NOW - 60}


async def test_a_bad_row_is_counted_and_costs_only_itself() -> None:
    rows = [row(QUARTER - 1800), [octets(QUARTER - 900)], [INVALID, 3], row(QUARTER)]
    found = await take({"load0": Range(QUARTER - 3600, NOW, more=False)}, rows)
    assert [capture.at for capture in found.captures] == [QUARTER - 1800, QUARTER]
    assert found.bad_rows == 2


async def test_a_row_given_twice_on_end_is_one() -> None:
    first, other = row(QUARTER - 900), [octets(QUARTER - 900), 1 << 20]
    wanted = {"load0": Range(QUARTER - 3600, NOW, more=False)}
    found = await take(wanted, [first, first, row(QUARTER), row(QUARTER), other, first])
    # what differs, or comes later again, is what a clock that went back has captured: the ledger tells
    assert [capture.at - QUARTER for capture in found.captures] == [-900, 0, -900, -900]


async def test_rows_of_which_none_fits_move_nothing_and_ask_for_the_shape_anew() -> None:
    wide = [[octets(QUARTER - 90_000), 1, 2], [octets(QUARTER - 89_100), 1, 2]]
    found = await take({"load0": Range(NOW - 100_000, NOW - 8000, more=True)}, wide)
    assert (list(found.outgrown), found.bad_rows) == (["load0"], 2)
    assert "2 rows" in found.refused["load0"]
    assert (found.captures, reached(found), found.more) == ([], {}, [])


async def test_a_register_that_fails_for_once_is_a_value_that_is_not_known() -> None:
    shapes = {INSTANT: Shape((LOAD.columns[1],), 0)}

    def answer(item: Get) -> Any:
        return octets(NOW) if item.attribute == COMPANION.clock else AccessError(2)

    found = await Reading(METER, COMPANION, shapes, {INSTANT: None}).take(scripted(answer), Still(NOW))
    assert found.captures[0].values == (None,)


async def test_the_clock_is_asked_first_then_registers_then_ranges() -> None:
    wanted = {"load0": Range(NOW - 900, NOW, more=False), INSTANT: None}
    shapes = {INSTANT: Shape((LOAD.columns[1],), 0), "load0": LOAD}
    clock, register, buffer = Reading(METER, COMPANION, shapes, wanted).questions()
    assert clock.attribute == COMPANION.clock
    assert register.attribute == Attribute(3, parse_obis("1-0:1.8.0.255"))
    assert buffer.attribute == Attribute(7, COMPANION.streams["load0"].name, BUFFER)
    assert buffer.selection is not None
    assert (clock.selection, register.selection, buffer.selection.selector) == (None, None, 1)


def test_captures_say_when_they_were_read_and_whether_that_can_be_trusted() -> None:
    class Doubtful(VirtualClock):
        def trusted(self) -> bool:
            return False

    async def work(clock: VirtualClock) -> None:
        box = Box(Doubtful(clock.loop, ORIGIN))
        session = await box.session()
        shapes = await learn(session, COMPANION, ["load0"])
        now = int(clock.now())
        reading = Reading(box.entry(), COMPANION, shapes, {"load0": Range(now - 900, now, more=False)})
        found = await reading.take(session, box.clock)
        assert {(capture.read_at, capture.trusted) for capture in found.captures} == {(round(clock.now(), 3), False)}
        await session.close()

    virtually(work)


INDIAN = load_profile("is15959-1p")


async def take_indian(rows: Any, wanted: Mapping[str, Range | None]) -> tuple[Findings, list[Get]]:
    def answer(item: Get) -> Any:
        return PRESENT if item.attribute == INDIAN.clock else rows

    session = scripted(answer)
    shapes = {INSTANT: Shape(LOAD.columns, 0), "billing": Shape(LOAD.columns, 0)}
    found = await Reading(METER, INDIAN, shapes, wanted).take(session, Still(NOW))
    return found, cast("Any", session).asked


async def test_instantaneous_values_kept_in_a_profile_are_its_newest_row_at_its_own_time() -> None:
    found, asked = await take_indian([row(NOW - 900, 6), row(NOW - 20, 7)], {INSTANT: None})
    assert [(each.at, each.values) for each in found.captures] == [(NOW - 20, (7,))]
    assert found.watermarks == {("M1", INSTANT): NOW - 20}, "the same row again is not news"
    assert asked[1].selection is None
    found, _ = await take_indian([], {INSTANT: None})
    assert (found.captures, found.watermarks) == ([], {})
    found, _ = await take_indian([[1, 2, 3]], {INSTANT: None})
    assert (found.captures, list(found.outgrown)) == ([], [INSTANT])


async def test_a_profile_that_is_asked_whole_gives_what_was_wanted_of_it() -> None:
    found, asked = await take_indian(
        [row(at) for at in (NOW - 7200, NOW - 3600, NOW)], {"billing": Range(NOW - 3600, NOW, more=False)}
    )
    assert [each.at for each in found.captures] == [NOW - 3600]
    assert asked[1].selection is None
