"""All meters of a bus go off and come back: little of the line is spent on them, and everything owed is read."""

import asyncio

from dcu.health import Health
from dcu.model import Meter, Reach
from dcu.plan.failing import DEAD_AFTER, REST_CAP
from dcu.plan.planner import DEAD_SHARE
from dcu.watching.reachability import Reachability
from sim.fleet import FleetPlan
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.lines import COMPANION, LOAD, Box, assert_true, run_for, virtually

METERS = 12
HOUR = 3600.0

#: What a visit to a silent meter takes: two time-outs of 2 s and what is said meanwhile.
SILENCE = 5.0


class History:
    """What the store keeps of who could be reached."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, float, Reach]] = []

    async def reached(self, meter: str, state: Reach, at: float, *, sure: bool = False) -> None:
        await asyncio.sleep(0)
        self.changes.append((meter, at, state))

    async def since(self, since: float) -> list[tuple[str, float, Reach]]:
        return sorted(change for change in self.changes if change[1] >= since)

    async def away(self) -> list[tuple[str, float, int]]:
        return []


def test_a_bus_that_was_off_for_three_hours() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=METERS, buses=1, hls=0, seed=4))
        poll = box.poll(LOAD)
        history, events = History(), []

        async def report(name: str, *, meter: str = "", **_: object) -> None:
            await asyncio.sleep(0)
            events.append((name, meter))

        def archive() -> list[Meter]:
            return [box.entry(number) for number in range(METERS)]

        room = Reachability(history, archive, lambda _: 0, 2 * HOUR, clock, Health(), report)
        poll.reached = room.visited
        await run_for(poll, 600.0)
        everybody = {meter.id for meter in box.meters}
        box.bus.silence(*everybody)
        busy = poll.health.busy
        await run_for(poll, 3 * HOUR)
        await room.step()
        counts = poll.plan.counts()
        assert (counts.unreachable, counts.degraded) == (METERS, 0)
        spent = poll.health.busy - busy
        assert spent <= (DEAD_AFTER * METERS + 1) * SILENCE + DEAD_SHARE * 3 * HOUR
        box.bus.silence()
        back = clock.monotonic()
        while poll.plan.counts().unreachable:
            await poll.step()
        assert clock.monotonic() - back <= REST_CAP + 60.0
        await run_for(poll, HOUR / 2)
        await room.step()
        assert_true(box, box.store.captures)
        for meter in box.meters:
            rows = sorted(each.at for each in box.store.captures if each.meter == meter.id)
            last = int(clock.now()) // 900 * 900 - 900
            assert tuple(row for row in rows if row <= last) == expected_times(
                meter, COMPANION.streams["load0"].name, int(clock.origin) - int(HOUR) + 1, last
            )
            states = [state for name, _, state in history.changes if name == meter.id]
            # the second line that says unreachable says that it was told
            away = [Reach.DEGRADED, Reach.UNREACHABLE, Reach.UNREACHABLE]
            assert states == [Reach.REACHABLE, *away, Reach.REACHABLE]
        assert sorted(events) == sorted(
            (name, meter) for meter in everybody for name in ("meter unreachable", "meter reachable again")
        )

    virtually(work)
