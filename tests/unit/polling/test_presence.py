"""A command meets another meter than the one it is for: nothing is done there, and nothing of it is told."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.errors import NotAskedError, NotGivenError, UnsureError
from dcu.model import Command, Priority, Visit
from dcu.polling.ondemand import on_demand
from dcu.polling.poll import Poll
from dcu.polling.presence import check_device, device
from sim.fleet import FleetPlan
from sim.meter import SERIAL_NUMBER, SimMeter
from sim.virtual import VirtualClock
from tests.lines import CIPHERED, REGISTERS, Box, settle, virtually

ONE = FleetPlan(meters=1, buses=1, hls=0, seed=4)
OLD = replace(ONE, old=256)
DAYS: dict[str, Any] = {
    "object": "0-0:11.0.0.255",
    "class": 11,
    "attribute": 2,
    "value": [{"index": 1, "date": "*-12-25", "day": 2}],
}
ITEMS: dict[str, Any] = {"items": [{"object": "1-0:1.8.0.255", "class": 3, "attribute": 2}]}
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("meter.read", {}),
    ("meter.get", ITEMS),
    ("meter.learn", {}),
    ("meter.set", DAYS),
    ("meter.set-clock", {}),
]


async def told(box: Box, poll: Poll, name: str, args: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    command = Command(f"c-{name}", name, ("M0001",), args)
    poll.submit(Visit("M0001", command=command, priority=Priority.COMMAND))
    count = len(box.answers)
    while len(box.answers) == count:
        await poll.step()
    return box.answers[-1][1:]


def asked(meter: SimMeter) -> int:
    return meter.served.get(SERIAL_NUMBER, 0)


@pytest.mark.parametrize("plan", [ONE, OLD], ids=["logical names", "short names"])
@pytest.mark.parametrize(("name", "args"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_does_nothing_to_another_meter_until_that_was_read(
    name: str, args: dict[str, Any], plan: FleetPlan
) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, plan)
        poll, meter = box.poll(REGISTERS), box.meters[0]
        await settle(poll)
        serial = meter.identity[SERIAL_NUMBER].decode()
        poll.archive.acquaintance.missed(["M0001"])
        await poll.held.release()
        meter.identity[SERIAL_NUMBER] = b"another"
        reason = f"another meter may be there: its serial number is another, not {serial}"
        assert await told(box, poll, name, args) == (None, reason)
        assert meter.shelf == {}
        assert poll.health.security == {}
        before = asked(meter)
        poll.plan.again("M0001", ["instant"], clock.monotonic())
        await settle(poll)
        assert [event for event, _, _ in box.reports] == ["meter exchanged"]
        assert asked(meter) > before
        answer, error = await told(box, poll, "meter.read", {})
        assert (error, answer is not None) == (None, True)

    virtually(work)


@pytest.mark.parametrize(("name", "args"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_what_was_given_for_one_device_is_not_carried_out_by_the_next_one_also_after_a_restart(
    name: str, args: dict[str, Any]
) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(REGISTERS)
        await settle(poll)
        command = Command("c1", name, ("M0001",), args, device=await device(poll.archive, "M0001"))
        serial = box.meters[0].identity[SERIAL_NUMBER].decode()
        await poll.held.release()
        box.meters[0].identity[SERIAL_NUMBER] = b"another"
        await settle(box.poll(REGISTERS))
        assert [event for event, _, _ in box.reports] == ["meter exchanged"]
        after, asked = box.poll(), box.requests
        after.submit(Visit("M0001", command=command, priority=Priority.COMMAND))
        await after.step()
        reason = f"the command was given for another device: its serial number was {serial}, and is another"
        assert [told[1:] for told in box.answers] == [(None, reason)]
        assert (box.requests, box.meters[0].shelf) == (asked, {})

    virtually(work)


def test_only_what_is_known_of_both_tells_two_devices_apart() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(REGISTERS)
        new = await device(poll.archive, "M0001")
        assert [*new] == ["line"]
        visit = Visit("M0001", command=Command("c1", "meter.set", ("M0001",), DAYS, device=new))
        await check_device(poll.archive, visit)
        await settle(poll)
        assert [*await device(poll.archive, "M0001")] == ["line", "serial"]
        await check_device(poll.archive, visit)
        poll.archive.add(replace(box.entry(), address=99))
        with pytest.raises(NotAskedError, match="its line in the archive was another"):
            await check_device(poll.archive, visit)

    virtually(work)


def test_who_was_there_a_moment_ago_is_not_asked_again() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll, meter = box.poll(REGISTERS), box.meters[0]
        await settle(poll)
        before = asked(meter)
        await told(box, poll, "meter.get", ITEMS)
        assert asked(meter) == before
        poll.archive.acquaintance.missed(["M0001"])
        await poll.held.release()
        await told(box, poll, "meter.get", ITEMS)
        await told(box, poll, "meter.get", ITEMS)
        assert asked(meter) == before + 1

    virtually(work)


def test_a_system_title_proves_enough() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll, meter = box.poll(REGISTERS), box.meters[0]
        await settle(poll)
        before = asked(meter)
        poll.archive.acquaintance.missed(["M0001"])
        await poll.held.release()
        assert (await told(box, poll, "meter.get", ITEMS))[1] is None
        assert asked(meter) == before

    virtually(work)


def test_after_a_start_the_number_that_is_kept_counts() -> None:
    async def work(clock: VirtualClock) -> None:
        first = Box(clock, ONE)
        await settle(first.poll(REGISTERS))
        box = Box(clock, ONE, store=first.store)
        poll, meter = box.poll(), box.meters[0]
        assert (await told(box, poll, "meter.get", ITEMS))[1] is None
        await poll.held.release()
        meter.identity[SERIAL_NUMBER] = b""
        answer, reason = await told(box, poll, "meter.get", ITEMS)
        serial = first.meters[0].identity[SERIAL_NUMBER].decode()
        assert answer is None
        assert reason == f"another meter may be there: its serial number is not told, not {serial}"

    virtually(work)


@pytest.mark.parametrize(
    ("own", "doubtful", "name", "error"),
    [
        (True, False, "meter.set", NotGivenError),
        (True, True, "meter.set", UnsureError),
        (True, True, "meter.get", NotGivenError),
        (False, False, "meter.get", None),
    ],
)
def test_what_another_meter_leaves_of_a_command(
    own: bool, doubtful: bool, name: str, error: type[Exception] | None
) -> None:
    """`own` False: to another client the meter need not tell who it is."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(REGISTERS)
        await settle(poll)
        await poll.held.release()
        poll.archive.acquaintance.missed(["M0001"])
        box.meters[0].identity[SERIAL_NUMBER] = b""
        session = await box.session()
        visit = Visit("M0001", command=Command("c1", name, ("M0001",), DAYS if name == "meter.set" else ITEMS))
        visit = replace(visit, doubtful=doubtful)
        if error is None:
            assert "items" in await on_demand(session, poll.archive, visit, clock, own=own)
        else:
            with pytest.raises(error, match="its serial number is not told"):
                await on_demand(session, poll.archive, visit, clock, own=own)
        await session.close()

    virtually(work)
