"""A visit that stops half-way: what was answered before is kept, and what was not is told."""

from typing import Any

import pytest

from dcu.conversation.recognition import Asking
from dcu.conversation.session import Yielded
from dcu.conversation.shapes import Shape
from dcu.conversation.visit import Findings, Reading
from dcu.dlms.moment import DateTime
from dcu.dlms.services import Get
from dcu.errors import BusError, DcuError, MeterTimeoutError
from dcu.model import INSTANT, Column, Meter
from dcu.obis import parse_obis
from dcu.plan.backfill import Range
from tests.captures import SetClock
from tests.lines import COMPANION
from tests.scripts import scripted

NOW = 1_790_000_105
QUARTER = NOW // 900 * 900
CLOCK = Column(8, parse_obis("0-0:1.0.0.255"))
ENERGY = Column(3, parse_obis("1-0:1.8.0.255"), unit=30)
SHAPES = {
    INSTANT: Shape((ENERGY, ENERGY), 0),
    "load0": Shape((CLOCK, ENERGY), 900),
    "event.fraud": Shape((CLOCK, Column(1, parse_obis("0-0:96.11.1.255"))), 0),
}
SPAN = Range(QUARTER - 900, NOW, more=False)
WANTED = {INSTANT: None, "load0": SPAN, "event.fraud": SPAN}

#: The answers of a whole visit: the clock, two registers, the rows of two profiles.
WHOLE = 5


class Broken:
    """A meter that answers `told` questions, and then something happens."""

    def __init__(self, told: int, stop: Yielded | DcuError) -> None:
        self.left = told
        self.stop = stop

    def __call__(self, item: Get) -> Any:
        if not self.left:
            raise self.stop
        self.left -= 1
        if item.attribute == COMPANION.clock:
            return DateTime.from_utc(NOW).to_bytes()
        if item.attribute in COMPANION.identity.values():
            return b"4711"
        return 7 if item.attribute.class_id == 3 else [[DateTime.from_utc(QUARTER).to_bytes(), 40]]


async def take(told: int, stop: Yielded | DcuError, asking: Asking = Asking.NOTHING) -> Findings:
    reading = Reading(Meter("M1", "a", 17, "reader", "idis"), COMPANION, SHAPES, WANTED, asking=asking)
    return await reading.take(scripted(Broken(told, stop)), SetClock(float(NOW)))


@pytest.mark.parametrize(
    "stop", [Yielded(open=True), Yielded(open=False), MeterTimeoutError("silent"), BusError("gone")]
)
@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (1, set[str]()),
        (2, set[str]()),  # one register of two is not what was asked for
        (3, {INSTANT}),
        (4, {INSTANT, "load0"}),
    ],
)
async def test_what_was_answered_before_is_kept(told: int, kept: set[str], stop: Yielded | DcuError) -> None:
    found = await take(told, stop)
    assert found.stopped is stop
    assert {each.stream for each in found.captures} == kept
    assert found.missed == WANTED.keys() - kept
    assert {stream for _, stream in found.asked} == kept - {INSTANT}


async def test_a_whole_visit_has_missed_nothing() -> None:
    found = await take(WHOLE, MeterTimeoutError("never"))
    assert (found.stopped, found.missed) == (None, set())
    assert {each.stream for each in found.captures} == set(WANTED)


async def test_when_nothing_was_answered_it_says_why() -> None:
    with pytest.raises(MeterTimeoutError):
        await take(0, MeterTimeoutError("silent"))


async def test_rows_of_a_meter_that_did_not_say_who_it_is_are_not_taken() -> None:
    found = await take(WHOLE, MeterTimeoutError("silent"), Asking.ALL)
    assert {each.stream for each in found.captures} == {INSTANT}
    assert found.missed == {"load0", "event.fraud"}
    assert found.identity is None


async def test_rows_that_come_after_the_serial_number_are_that_meters_wherever_it_stops() -> None:
    found = await take(WHOLE, MeterTimeoutError("silent"), Asking.SERIAL)
    assert {each.stream for each in found.captures} == {INSTANT, "load0"}
    assert (found.serial, found.identity) == ("4711", None)
    found = await take(1, MeterTimeoutError("silent"), Asking.SERIAL)
    assert (found.serial, found.captures) == (None, [])
