"""Meters that speak unasked: heard while the bus is idle, kept, confirmed, and read for it; strangers are not."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.axdr import Typed
from dcu.dlms.moment import DateTime
from dcu.dlms.notifications import EventNotification
from dcu.dlms.security import Cipher
from dcu.errors import Breach, ShelteredError, StoreError
from dcu.events import describe
from dcu.model import ALARM, NO_STATUS, PUSH, Attribute, Capture, Ciphering, Framing, Task
from dcu.obis import parse_obis
from dcu.polling.poll import Poll
from dcu.polling.pushes import BURST, PERIOD, Pushes
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import (
    CIPHERED,
    COMPANION,
    INDIANS,
    ORIGIN,
    Box,
    Losable,
    read_command,
    run_for,
    settle,
    virtually,
)
from tests.rig import Rig

FRAUD = "event.fraud"
SETUP = parse_obis("0-4:25.9.0.255")
REGISTER = parse_obis("0-0:97.98.0.255")
RARELY = Task(FRAUD, every=7 * 86_400.0, offset=5 * 86_400.0, backfill=86_400.0)
CONFIRMED = 0x4000_0000


def push(value: Typed, *, at: int | None = None, invoke: int = 1) -> bytes:
    time = b"\x00" if at is None else b"\x0c" + DateTime.from_utc(at).to_bytes()
    return b"\x0f" + invoke.to_bytes(4) + time + axdr.encode(value)


def alert(bit: int) -> bytes:
    """Return what an Indian meter tells when a bit of its event status word is up."""
    word = "".join("1" if number == bit else "0" for number in range(128))
    return push(axdr.structure(axdr.octets(b"SIM1"), axdr.octets(SETUP), axdr.octets(b"\0" * 12), axdr.bits(word)))


def changed(word: int) -> bytes:
    return b"\xc2\x00" + (1).to_bytes(2) + REGISTER + b"\x02" + axdr.encode(axdr.u32(word))


class Street:
    """A box whose bus listens."""

    def __init__(self, clock: VirtualClock, plan: FleetPlan | None = None, *tasks: Task) -> None:
        self.box = Box(clock, plan or FleetPlan(meters=2, buses=1, hls=0, seed=4))
        self.poll: Poll = self.box.poll(*tasks)
        poll = self.poll
        poll.pushes = self.pushes = Pushes(
            "line",
            Framing.HDLC,
            poll.archive,
            poll.sessions,
            poll.events,
            self.box.store,
            clock,
            poll.health,
            self.box._report,
        )
        self.archive_bus()

    def archive_bus(self) -> None:
        """Let the archive say that its meters are on this line."""
        at = self.poll.archive.at
        name = next(iter(self.box.fleet.archive)).bus
        self.pushes.bus = name
        assert at(name, self.box.meters[0].plate.address) is not None

    def say(self, apdu: bytes, number: int = 0) -> None:
        self.box.bus.push(self.box.meters[number].id, 64, apdu)

    @property
    def kept(self) -> list[Capture]:
        return self.box.store.captures


async def hear(street: Street, *apdus: bytes, number: int = 0, between: float = 1.0) -> None:
    async with asyncio.TaskGroup() as group:
        flow = group.create_task(run_for(street.poll, 5.0 + between * len(apdus)))
        await asyncio.sleep(2.0)
        for apdu in apdus:
            street.say(apdu, number)
            await asyncio.sleep(between)
        await flow


def test_what_a_meter_tells_is_kept_with_its_time_and_named() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        body = axdr.structure(axdr.octets(SETUP), axdr.u32(7))
        await hear(street, push(body, at=int(ORIGIN) - 9), changed(8192))
        first, second, third = street.kept
        assert (first.meter, first.stream, first.at) == ("M0001", PUSH, int(ORIGIN) - 9)
        assert first.values == (f'["{SETUP.hex()}",7]',)
        assert (first.columns[0].class_id, first.columns[0].name) == (40, SETUP)
        assert describe(COMPANION, first) == {"event": "push", "severity": "info"}
        assert (second.stream, second.values, second.columns[0].name) == (PUSH, (8192,), REGISTER)
        assert (third.stream, third.values) == (ALARM, (8192, 0))
        assert (street.poll.health.pushes, street.poll.health.strangers) == (2, 0)

    virtually(work)


@pytest.mark.parametrize(
    ("ahead", "status", "believed"),
    [
        (-9, 0x00, True),
        (-9, 0x80, True),
        (-9, NO_STATUS, True),
        (-6 * 86_400, 0x02, True),  # doubtful is not wrong
        (-9, 0x01, False),
        (-10 * 365 * 86_400, 0x00, False),
        (8 * 86_400, NO_STATUS, False),
    ],
)
def test_a_time_that_cannot_be_is_kept_beside_that_of_the_dcu(ahead: int, status: int, *, believed: bool) -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        said = DateTime.from_utc(int(ORIGIN) + ahead, 0, status)
        body = axdr.structure(axdr.octets(SETUP), axdr.u32(7))
        await hear(street, b"\x0f" + (1).to_bytes(4) + b"\x0c" + said.to_bytes() + axdr.encode(body))
        (kept,) = street.kept
        assert kept.status == status
        assert kept.values[0] == f'["{SETUP.hex()}",7]'
        if believed:
            assert (kept.at, len(kept.values)) == (int(ORIGIN) + ahead, 1)
        else:
            assert kept.at == int(kept.read_at)
            assert kept.values[1:] == (said.to_bytes(),)
            assert [column.class_id for column in kept.columns] == [40, 8]
        assert describe(COMPANION, kept) == {"event": "push", "severity": "info"}

    virtually(work)


def test_an_indian_alert_raises_the_bit_it_tells() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock, FleetPlan(meters=1, buses=1, hls=0, seed=4, indian=256))
        await hear(street, alert(83))
        (told, alarm) = street.kept
        assert (told.stream, alarm.stream) == (PUSH, ALARM)
        assert describe(INDIANS["is15959-1p"], alarm)["rose"] == ["meter cover removed"]

    virtually(work)


def test_who_tells_something_is_read_at_once() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock, None, RARELY)
        await settle(street.poll)
        visits = street.poll.health.visits
        await hear(street, push(axdr.u8(1)), number=1)
        assert street.poll.health.visits == visits + 1
        assert street.poll.archive.meter("M0002").id in {each.meter for each in street.kept if each.stream == PUSH}

    virtually(work)


def test_one_that_is_to_be_confirmed_is_confirmed_when_it_is_kept() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        sent = street.box.bus.counters.octets_in
        await hear(street, push(axdr.u8(1)))
        assert street.box.bus.counters.octets_in == sent
        await hear(street, push(axdr.u8(1), invoke=CONFIRMED | 7))
        assert street.box.bus.counters.octets_in > sent
        street.box.store.failure = StoreError("disk full")
        sent = street.box.bus.counters.octets_in
        failed: Any = None
        try:
            await hear(street, push(axdr.u8(1), invoke=CONFIRMED | 8))
        except* StoreError as error:
            failed = error
        assert failed is not None
        assert street.box.bus.counters.octets_in == sent

    virtually(work)


def test_a_store_that_fails_stops_no_bus_and_what_waits_in_memory_is_not_confirmed() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        street.box.store.failure = ShelteredError("disk full")
        sent = street.box.bus.counters.octets_in
        await hear(street, push(axdr.u8(1), invoke=CONFIRMED | 7), changed(8192))
        assert street.poll.health.pushes == 2
        assert street.box.bus.counters.octets_in == sent
        street.box.store.failure = None
        # the word that waits in memory is known: it is no news a second time
        await hear(street, changed(8192))
        assert [each.stream for each in street.kept] == [PUSH]

    virtually(work)


def test_a_stranger_is_counted_and_not_believed() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        street.pushes.bus = "another line"
        await hear(street, push(axdr.u8(1)))
        assert (street.kept, street.poll.health.strangers, street.poll.health.pushes) == ([], 1, 0)

    virtually(work)


def test_plain_words_of_a_meter_that_seals_its_own_are_no_reading_but_a_reason_to_ask() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock, CIPHERED, RARELY)
        await settle(street.poll)
        before, visits = len(street.kept), street.poll.health.visits
        await hear(street, changed(8192))
        assert not [each for each in street.kept[before:] if each.stream in {PUSH, ALARM}]
        assert street.poll.health.visits == visits + 1

    virtually(work)


def test_what_is_no_notification_is_said_in_health_and_hurts_nobody() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        await hear(street, b"\xdb\x08abc", b"\x0f\x00", b"\xc2", push(axdr.u8(1)) + b"\x00", b"")
        assert street.kept == []
        assert "notification" in (street.poll.health.error or "")
        assert street.poll.health.security == {Breach.LENGTH: 1}

    virtually(work)


def test_a_meter_that_never_stops_does_not_fill_the_store() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        await hear(street, *(push(axdr.u8(number)) for number in range(3 * BURST)), between=0.5)
        assert len(street.kept) == BURST
        await asyncio.sleep(PERIOD)
        await hear(street, push(axdr.u8(99)))
        assert len(street.kept) == BURST + 1

    virtually(work)


def test_what_is_said_within_a_conversation_is_kept_too() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        word = EventNotification(None, Attribute(1, REGISTER), 16)
        await street.pushes.of_visit("M0001", [word])
        assert [each.stream for each in street.kept] == [PUSH, ALARM]

    virtually(work)


def test_a_command_does_not_wait_for_the_listening() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(street.poll, 20.0))
            await asyncio.sleep(3.0)
            street.poll.submit(read_command("M0002"))
            await asyncio.sleep(1.5)
            assert len(street.box.answers) == 1
            await flow

    virtually(work)


def test_a_line_that_is_lost_is_opened_again() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        port = Losable(street.box)
        street.poll.port = street.poll._line.port = port
        port.lost = True
        await run_for(street.poll, 12.0)
        port.lost = False
        await hear(street, push(axdr.u8(1)))
        assert len(street.kept) == 1

    virtually(work)


def test_a_push_leaves_the_box_at_once_where_the_bus_allows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        rig = Rig(clock, tmp_path, monkeypatch)
        first, second = rig.config.buses
        rig.config = replace(rig.config, buses=(replace(first, push=True), second))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.daemon().run(rig.stop))
            await asyncio.sleep(70.0)
            for bus in rig.lines.values():
                plain = [each.id for each in rig.fleet.archive if each.bus == bus.name and each.access == "reader"]
                bus.push(plain[0], 64, push(axdr.u8(1)))
            await asyncio.sleep(3.0)
            told = [each for each in rig.broker.tally.events if each.event == "push"]
            assert [next(e.bus for e in rig.fleet.archive if e.id == each.meter) for each in told] == [first.name]
            assert told[0].severity == "info"
            rig.stop.set()
            await running

    virtually(work)


class Sealing:
    """What the one meter of CIPHERED says, sealed as it would; `again` takes its counter back to what it was."""

    def __init__(self, clock: VirtualClock, *tasks: Task) -> None:
        self.street = Street(clock, CIPHERED, *tasks)
        self.meter = self.street.box.meters[0]

    def seal(self, apdu: bytes, form: Ciphering = Ciphering.GENERAL_GLO, **other: Any) -> bytes:
        keys, title = other.get("keys", self.meter.keys), other.get("title", self.meter.title)
        cipher = Cipher(keys, title, other.get("counter", self.meter.take_counter))
        if form is Ciphering.GENERAL_DED:
            cipher.dedicate(bytes(16))
        return cipher.protect(apdu, form)

    async def hear(self, *apdus: bytes) -> list[Capture]:
        """Return what is kept of `apdus`, after the meter has been recognised by a visit."""
        before = len(self.street.kept)
        await hear(self.street, *apdus)
        return [each for each in self.street.kept[before:] if each.stream in {PUSH, ALARM}]

    @property
    def breaches(self) -> dict[str, int]:
        return self.street.poll.health.security
