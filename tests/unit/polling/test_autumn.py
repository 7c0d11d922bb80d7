"""Which hour a local clock showed twice, by what it fell and by rows; that it is told is in faults/test_time."""

from dataclasses import replace

import pytest

from dcu.conversation.visit import Findings
from dcu.plan.calibration import Reading
from dcu.plan.ledger import Asked
from dcu.polling.autumn import HOUR, Autumn, tells
from tests.captures import SetClock, capture
from tests.lines import MemoryStore

#: An hour begins.
BEGUN = 1_800_000_000
WEST = -5.0 * HOUR


def found(offset: float, *times: int, period: int = 900, deviation: int | None = None) -> Findings:
    """Return what was found of a meter whose clock is `offset` s off, with rows of `times` that are `period` apart."""
    asked = {("M1", "load0"): [Asked(BEGUN, BEGUN + HOUR, period)]}
    clock = Reading(0, offset, deviation)
    return Findings(captures=[capture(at) for at in times], asked=asked, offset=offset, clock=clock)


class Night:
    """A clock that shows 20 minutes past an hour when it is seen first, as far as somebody remembers that."""

    def __init__(self) -> None:
        self.clock, self.store = SetClock(BEGUN + 1200 - WEST), MemoryStore()
        self.autumn = Autumn(self.store, self.clock)

    async def hour(self, later: float, found: Findings) -> int | None:
        """Return what is said of the meter when it is seen the next time, so many seconds `later`."""
        self.clock.time += later
        return await self.autumn.hour("M1", found)


@pytest.mark.parametrize(
    ("later", "fell", "times", "hour"),
    [
        (4800.0, HOUR, (), 0),
        (4800.0, HOUR + 30, (), 0),
        (4800.0, 0, (), None),
        (4800.0, 1800, (), None),
        (4800.0, -HOUR, (), None),
        (86_000.0, HOUR, (), 0),
        (87_000.0, HOUR, (), None),  # part of what was captured meanwhile is not in the answer
        (30_000.0, HOUR, (8100, 9000, 8100, 9000, 9900), 2),
        (90_000.0, HOUR, (8100, 9000, 8100, 9000, 9900), 2),
    ],
)
async def test_the_hour_is_that_of_rows_which_come_twice_or_that_in_which_the_meter_was_seen(
    later: float, fell: int, times: tuple[int, ...], hour: int | None
) -> None:
    night = Night()
    assert await night.autumn.hour("M1", found(WEST)) is None
    night.autumn.seen("M1", found(WEST))
    told = await night.hour(later, found(WEST - fell, *(BEGUN + each for each in times)))
    assert told == (None if hour is None else BEGUN + hour * HOUR)


async def test_what_was_told_is_not_told_again() -> None:
    night = Night()
    night.autumn.seen("M1", found(WEST))
    assert await night.hour(4800.0, found(WEST - HOUR)) == BEGUN
    night.autumn.seen("M1", found(WEST - HOUR))
    assert await night.hour(900.0, found(WEST - HOUR)) is None


@pytest.mark.parametrize(("trusted", "hour"), [(True, BEGUN), (False, None)])
async def test_after_a_start_the_rows_that_are_kept_say_what_the_clock_showed(
    *, trusted: bool, hour: int | None
) -> None:
    night = Night()
    read = night.clock.now()
    rows = [(BEGUN, read - 900.0, WEST - 600.0), (BEGUN + 900, read, WEST)]
    night.store.captures = [
        replace(capture(at), read_at=then, offset=offset, trusted=trusted) for at, then, offset in rows
    ]
    assert await night.hour(4800.0, found(WEST - HOUR)) == hour


def test_only_a_clock_without_a_zone_and_rows_within_the_hour_tell() -> None:
    assert tells(found(WEST))
    assert tells(found(WEST, period=HOUR))
    assert not tells(found(WEST, period=2 * HOUR))
    assert not tells(found(WEST, period=0))
    assert not tells(found(WEST, deviation=300))
    assert not tells(replace(found(WEST), clock=None))
