"""What the flow of a bus hears of the meters' invocation counters is kept, and costs no commit for each visit."""

from dcu.errors import MeterError
from dcu.polling.poll import HEARD_BOUND
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import BAUD, CIPHERED, REGISTERS, Box, MemoryStore, read_command, run_for, virtually


def test_what_was_heard_in_a_visit_that_keeps_no_reading_is_kept_when_the_line_is_idle() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll()
        poll.submit(read_command("M0001"))
        await poll.step()
        assert (box.store.heard, box.store.commits) == ({}, 0)
        await poll.step()
        assert list(box.store.heard.values()) == [box.meters[0].spoken]
        await poll.step()
        assert box.store.commits == 1

    virtually(work)


def test_a_line_that_is_never_idle_keeps_what_it_hears_now_and_then() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll()
        visits = 0
        while not box.store.commits:
            poll.submit(read_command("M0001"))
            await poll.step()
            visits += 1
        assert visits > 3
        assert HEARD_BOUND <= clock.monotonic() < HEARD_BOUND + 5.0

    virtually(work)


def test_an_ordered_end_keeps_what_was_heard_last() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll()
        for _ in range(20):
            poll.submit(read_command("M0001"))
        await run_for(poll, HEARD_BOUND / 2)
        assert box.store.heard
        assert box.store.heard == poll.sessions._invocations._heard

    virtually(work)


class UsedUp(MemoryStore):
    """Has no counters left for the meter that is met first."""

    first: str | None = None

    async def reserve(self, key: str, count: int, above: int = -1) -> range:
        self.first = self.first or key
        if key == self.first:
            raise MeterError(f"key {key!r} has no {count} invocation counters left")
        return await super().reserve(key, count, above)


def test_a_key_whose_counters_are_used_up_costs_its_own_meter_and_no_other() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=3, buses=1, baud=BAUD, hls=256), store=UsedUp())
        poll = box.poll(REGISTERS)
        for _ in range(6):
            await poll.step()
        assert len({capture.meter for capture in box.store.captures}) == 2
        assert poll.health.error is not None
        assert "invocation counters left" in poll.health.error

    virtually(work)
