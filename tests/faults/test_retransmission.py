"""One bad line from end to end, in virtual time: everything goes wrong at once, and the values are right."""

from collections import deque
from dataclasses import replace

import pytest

from dcu.bus import Port
from dcu.dlms.hdlc_link import HdlcLink
from dcu.model import INSTANT
from sim.faults import Faults
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import LOAD, REGISTERS, Box, PortAround, assert_true, settle, virtually

#: One frame of five is lost, one answer of ten is late (within its time-out or, half of the seeds, after it), the
#: adapter echoes, others talk, and a bit flips now and then.
BAD = Faults(frame_loss=0.2, late=0.1, late_by=1.2, chatter=0.2, misaddressed=0.02, byte_errors=0.0001, echo=True)


class SingleOctets(PortAround):
    """Gives what appears on the line octet by octet."""

    def __init__(self, port: Port) -> None:
        super().__init__(port)
        self._heard: deque[int] = deque()

    async def read(self) -> bytes:
        if not self._heard:
            self._heard.extend(await super().read())
        return bytes((self._heard.popleft(),))

    async def drain(self, quiet: float) -> bool:
        self._heard.clear()
        return await super().drain(quiet)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("max_info", "window"), [(2030, 1), (64, 4)])
def test_a_line_on_which_everything_goes_wrong_ends_with_the_right_values(
    max_info: int, window: int, seed: int
) -> None:
    async def work(clock: VirtualClock) -> None:
        # an answer is late before the time-out of two seconds, or after it
        faults = replace(BAD, late_by=BAD.late_by + seed % 2)
        box = Box(clock, FleetPlan(meters=4, buses=1, hls=128, seed=seed, faults=faults))
        box.port = SingleOctets(box.port)
        box.settings = replace(box.settings, max_info=max_info, window=window)
        for meter in box.meters:
            meter.plate = replace(meter.plate, max_info=max_info, window=window)
        poll = box.poll(REGISTERS, LOAD)
        await settle(poll)
        assert_true(box, box.store.captures)
        for meter in box.meters:
            streams = [each.stream for each in box.store.captures if each.meter == meter.id]
            assert streams.count(INSTANT) == 1
            assert streams.count("load0") == 4
        counters = box.bus.counters
        assert min(counters.lost, counters.chatter, counters.late) > 0
        # these clocks are right: however often a question was repeated, its answer is dated by the one that was heard
        assert all(each.offset is not None and abs(each.offset) < 1.5 for each in box.store.captures)
        # three visits of four live through the losses alone, where without repeats not one of ten does
        assert poll.health.visits <= 4 * poll.health.ok

    virtually(work)


def good_visits(loss: float) -> float:
    """Return the share of visits that succeed at this loss of frames; each of 200 meters is learned and read once."""

    async def work(clock: VirtualClock) -> float:
        box = Box(clock, FleetPlan(meters=200, buses=1, hls=128, faults=Faults(frame_loss=loss)))
        poll = box.poll(REGISTERS, LOAD)
        for _ in range(len(box.meters)):
            await poll.step()
        assert poll.health.visits == len(box.meters)
        return poll.health.ok / poll.health.visits

    return virtually(work)


@pytest.mark.no_cover  # four hundred visits, each like the others
def test_at_two_lost_frames_of_a_hundred_next_to_every_visit_succeeds() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HdlcLink, "retry", lambda _: None)
        without = good_visits(0.02)
    repeated = good_visits(0.02)
    print(f"visits that succeed at 2 % frame loss: {without:.1%} without repeats, {repeated:.1%} with them")
    assert without < 0.85
    assert repeated > 0.99
