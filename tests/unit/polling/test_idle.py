"""The idle time of a line: woken at once, never longer than it may be, and none where the line is gone."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from dcu.errors import BusError
from dcu.polling.idle import IDLE_BOUND, REOPEN_DELAY, Idle
from sim.virtual import VirtualClock
from tests.lines import Box, Losable, virtually

if TYPE_CHECKING:
    from dcu.bus import Port
    from dcu.polling.discovery import Discovery
    from dcu.polling.pushes import Pushes


def idle_of(box: Box) -> Idle:
    poll = box.poll()
    return poll._idle


class Ears:
    """Hears what it is told to, or that the line is gone."""

    def __init__(self, *speakers: str) -> None:
        self.speakers = list(speakers)
        self.gone = False

    async def listen(self, _port: "Port", _wake: asyncio.Event, pause: float) -> list[str]:
        await asyncio.sleep(pause)
        if self.gone:
            raise BusError("the line is gone")
        return self.speakers


class Search:
    """Wants the line whenever it is asked, and counts how often it had it."""

    def __init__(self) -> None:
        self.steps = 0

    def wants(self, _now: float, until: float | None) -> bool:
        return until is None

    async def step(self, _port: "Port", _alive: object) -> bool:
        await asyncio.sleep(0)
        self.steps += 1
        return True


@pytest.mark.parametrize(("until", "takes"), [(None, IDLE_BOUND), (3.0, 3.0), (100.0, IDLE_BOUND), (-1.0, 0.0)])
def test_it_rests_until_something_is_due_but_not_for_long(until: float | None, takes: float) -> None:
    async def work(clock: VirtualClock) -> None:
        idle, start = idle_of(Box(clock)), clock.monotonic()
        assert await idle.rest(None, None if until is None else start + until) == []
        assert clock.monotonic() - start == pytest.approx(takes)

    virtually(work)


def test_whoever_needs_the_line_wakes_it_once() -> None:
    async def work(clock: VirtualClock) -> None:
        idle, start = idle_of(Box(clock)), clock.monotonic()
        idle.wake.set()
        assert await idle.rest(None, None) == []
        assert clock.monotonic() == start
        assert not idle.wake.is_set()

    virtually(work)


def test_it_hears_who_speaks_and_rests_where_the_line_is_gone() -> None:
    async def work(clock: VirtualClock) -> None:
        idle, ears = idle_of(Box(clock)), Ears("M0001")
        pushes = cast("Pushes", ears)
        assert await idle.rest(pushes, clock.monotonic() + 1.0) == ["M0001"]
        ears.gone, start = True, clock.monotonic()
        assert await idle.rest(pushes, clock.monotonic() + 1.0) == []
        # its second, and once more: the port is not opened again at once
        assert 1.0 < clock.monotonic() - start <= 1.0 + REOPEN_DELAY
        assert (idle.line.lost, idle.health.error) == (True, "the line is gone")

    virtually(work)


def test_it_looks_for_meters_where_there_is_time_and_a_line() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        idle, search = idle_of(box), Search()
        discovery = cast("Discovery", search)
        assert await idle.search(discovery, None)
        assert not await idle.search(discovery, clock.monotonic() + 1.0)
        assert not await idle.search(None, None)
        port = Losable(box)
        port.lost = True
        idle.line.port = port
        idle.line.lose()
        assert not await idle.search(discovery, None)
        assert search.steps == 1

    virtually(work)
