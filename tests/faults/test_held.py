"""Associations held open over visits when meters forget them, restart, and the line loses frames: values stay right."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from dcu.dlms.hdlc import FRMR, Frame, I, control, encode_frame
from dcu.errors import BusError, StoreError
from dcu.model import INSTANT, Task
from dcu.polling.poll import Poll
from sim.faults import Faults
from sim.fleet import FleetPlan
from sim.stations import HdlcServer
from sim.virtual import VirtualClock
from tests.lines import CIPHERED, LOAD, Box, Losable, PortAround, assert_true, read_command, run_for, settle, virtually

MINUTE = Task(INSTANT, every=60.0)
ONE = FleetPlan(meters=1, buses=1, hls=0)


def station(box: Box) -> HdlcServer:
    return next(iter(box.bus.line._stations.values()))


def disconnected(box: Box, _: pytest.MonkeyPatch) -> None:
    """The meter timed out, or started anew, and says DM."""
    station(box)._connections.clear()


def mute(box: Box, patch: pytest.MonkeyPatch) -> None:
    """The same, and it says nothing to frames of a connection it does not know."""
    receive = HdlcServer.receive_frame
    station(box)._connections.clear()

    def silently(self: HdlcServer, frame: Frame, now: float) -> list[bytes]:
        known = frame.source[0] >> 1 in self._connections or frame.kind != I
        return receive(self, frame, now) if known else []

    patch.setattr(HdlcServer, "receive_frame", silently)


def rejecting(box: Box, patch: pytest.MonkeyPatch) -> None:
    """It answers FRMR to the next numbered frame."""
    receive = HdlcServer.receive_frame

    def reject(self: HdlcServer, frame: Frame, now: float) -> list[bytes]:
        if frame.kind != I:
            return receive(self, frame, now)
        patch.setattr(HdlcServer, "receive_frame", receive)
        return [encode_frame(frame.source, frame.destination, control(FRMR), bytes(3))]

    patch.setattr(HdlcServer, "receive_frame", reject)


def unassociated(box: Box, _: pytest.MonkeyPatch) -> None:
    """The connection stands, and the association over it is gone: an exception-response."""
    for connection in station(box)._connections.values():
        connection._association._forget()


async def next_minute(poll: Poll) -> None:
    """Let the next minute ring, and make its visit."""
    await asyncio.sleep(60.0)
    await poll.step()


@pytest.mark.parametrize("plan", [ONE, CIPHERED], ids=["lls", "ciphered"])
@pytest.mark.parametrize("forgets", [disconnected, mute, rejecting, unassociated])
def test_a_stale_association_is_replaced_within_the_visit(
    forgets: Callable[[Box, pytest.MonkeyPatch], None], plan: FleetPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, plan)
        poll = box.poll(MINUTE)
        await poll.step()
        await next_minute(poll)
        assert (poll.health.ok, poll.health.resumed, poll.health.stale) == (2, 1, 0)
        forgets(box, monkeypatch)
        began = clock.monotonic()
        await next_minute(poll)
        assert clock.monotonic() - began < 60.0 + box.settings.timeout + 2.0
        assert (poll.health.ok, poll.health.resumed, poll.health.stale) == (3, 2, 1)
        # trusted for less than a minute now: each visit associates, and none fails
        await next_minute(poll)
        assert (poll.health.ok, poll.health.visits, poll.health.resumed) == (4, 4, 2)
        assert len(box.store.captures) == 4
        assert_true(box, box.store.captures)

    virtually(work)


def test_a_meter_that_times_out_sooner_than_it_is_trusted_costs_no_reading() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        box.meters[0].plate = replace(box.meters[0].plate, inactivity=30.0)
        poll = box.poll(MINUTE)
        await run_for(poll, 600.0)
        assert poll.health.ok == poll.health.visits >= 10
        assert poll.health.stale == 1

    virtually(work)


def test_a_meter_that_went_away_while_it_was_held_is_silent_once() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(MINUTE)
        await poll.step()
        box.bus.silence("M0001")
        await next_minute(poll)
        assert (poll.health.visits, poll.health.silent, poll.health.stale) == (2, 1, 1)
        box.bus.silence()
        await next_minute(poll)
        assert (poll.health.visits, poll.health.ok) == (3, 2)

    virtually(work)


def test_a_command_over_a_stale_association_is_answered() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(MINUTE)
        await poll.step()
        station(box)._connections.clear()
        poll.submit(read_command("M0001"))
        await poll.step()
        ((_, found, error),) = box.answers
        assert error is None
        assert found is not None
        assert poll.health.stale == 1

    virtually(work)


def test_meters_held_beside_each_other_never_answer_for_each_other() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=8, buses=1, hls=128))
        poll = box.poll(MINUTE, LOAD)
        await run_for(poll, 1200.0)
        assert poll.health.resumed > 100
        assert poll.health.ok == poll.health.visits
        assert_true(box, box.store.captures)

    virtually(work)


@pytest.mark.parametrize("seed", range(4))
def test_a_fifth_of_all_frames_lost_ends_with_the_right_values(seed: int) -> None:
    async def work(clock: VirtualClock) -> None:
        plan = FleetPlan(meters=4, buses=1, hls=128, seed=seed)
        box = Box(clock, plan)
        box.bus.faults = Faults(frame_loss=0.2, chatter=0.2, byte_errors=0.0005)
        poll = box.poll(MINUTE, LOAD)
        await run_for(poll, 1800.0)
        box.bus.faults = Faults()
        await asyncio.sleep(900.0)
        await settle(poll)
        assert poll.health.resumed > poll.health.stale > 0
        assert poll.health.security == {}
        assert_true(box, box.store.captures)
        for meter in box.meters:
            rows = [each.at for each in box.store.captures if (each.meter, each.stream) == (meter.id, "load0")]
            assert rows == sorted(set(rows))
            assert rows[-1] == int(clock.now()) // 900 * 900

    virtually(work)


def test_a_connection_that_was_closed_at_rest_is_made_anew() -> None:
    class Hanging(PortAround):
        closed = False
        opened = 0

        async def open(self) -> None:
            self.closed = False
            self.opened += 1
            await super().open()

        async def write(self, data: bytes) -> None:
            if self.closed:
                raise BusError("gateway: the line was closed at the other end")
            await super().write(data)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        box.port = port = Hanging(box.port)
        poll = box.poll(MINUTE)
        await poll.step()
        port.closed = True
        began = clock.monotonic()
        await next_minute(poll)
        assert clock.monotonic() - began < 62.0
        assert (poll.health.ok, poll.health.line, poll.health.stale, port.opened) == (2, 0, 1, 2)

    virtually(work)


def test_a_new_connection_ends_what_was_held_over_the_old_one() -> None:
    class Reconnecting(PortAround):
        async def drain(self, quiet: float) -> bool:
            await super().drain(quiet)
            return True

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=0))
        box.port = Reconnecting(box.port)
        poll = box.poll(MINUTE)
        await settle(poll)
        assert len(poll.held) == 2
        box.bus.silence("M0002")
        poll.submit(read_command("M0002"))
        await poll.step()
        assert len(poll.held) == 0
        assert (poll.health.stale, poll.health.silent) == (1, 1)

    virtually(work)


def test_a_flow_that_is_told_to_end_releases_what_is_held() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=0))
        poll, servers = box.poll(MINUTE), box.bus.line._stations.values()
        flow = asyncio.create_task(poll.run())
        await asyncio.sleep(30.0)
        assert len(poll.held) == 2
        assert all(server._connections for server in servers)
        flow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flow
        assert clock.monotonic() < 31.0
        assert not any(server._connections for server in servers)

    virtually(work)


def test_a_flow_that_ends_for_want_of_a_store_and_is_told_to_end_meanwhile_closes_its_port() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=0))
        port = Losable(box)
        poll = box.poll(MINUTE)
        await settle(poll)
        assert len(poll.held) == 2
        box.store.failure = StoreError("the file was deleted")
        flow = asyncio.create_task(poll.run())
        async with asyncio.timeout(120.0):
            while len(poll.held):  # noqa: ASYNC110 - the last one is released over the line right then
                await asyncio.sleep(0.001)
        assert not flow.done()
        flow.cancel()
        await asyncio.wait([flow])
        assert port.closed == 1

    virtually(work)


@pytest.mark.no_cover  # frame after frame
@pytest.mark.parametrize("plan", [ONE, CIPHERED], ids=["lls", "ciphered"])
def test_a_meter_that_starts_anew_at_any_frame_costs_no_row(plan: FleetPlan) -> None:
    class Counting(PortAround):
        left = 0

        async def write(self, data: bytes) -> None:
            self.left -= 1
            if not self.left:
                station_of[0]._connections.clear()
            await super().write(data)

    station_of: list[HdlcServer] = []

    async def work(clock: VirtualClock, frame: int) -> int:
        box = Box(clock, plan)
        box.port = port = Counting(box.port)
        station_of[:] = [station(box)]
        poll = box.poll(MINUTE, Task("load0", every=900.0, offset=5.0, backfill=3 * 86_400.0))
        port.left = frame
        await run_for(poll, 180.0)
        assert_true(box, box.store.captures)
        rows = sorted(each.at for each in box.store.captures if each.stream == "load0")
        newest = int(clock.now()) // 900 * 900
        assert rows == list(range(newest - 3 * 86_400 + 900, newest + 1, 900))
        assert poll.health.resumed > 0
        return poll.health.stale

    found = [virtually(partial(work, frame=frame)) for frame in range(1, 12)]
    assert set(found) == {0, 1}
