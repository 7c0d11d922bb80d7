"""Pushes under a meter's own keys, their repetition and replay, and who has spoken."""

from dataclasses import replace

import pytest

from dcu.bus import Port
from dcu.dlms import axdr
from dcu.dlms.hdlc import FrameReader, ServerAddress
from dcu.dlms.listening import Told
from dcu.dlms.security import Cipher
from dcu.errors import Breach, SecurityError
from dcu.model import ALARM, PUSH, Ciphering
from dcu.polling.pushes import BURST
from sim.virtual import VirtualClock
from tests.lines import (
    CIPHERED,
    TITLE,
    PortAround,
    settle,
    virtually,
)
from tests.unit.polling.test_pushes import CONFIRMED, RARELY, Sealing, Street, changed, hear, push


@pytest.mark.parametrize("form", [Ciphering.GLO, Ciphering.GENERAL_GLO, Ciphering.GENERAL])
def test_what_a_meter_seals_is_opened_with_its_keys_and_kept(form: Ciphering) -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        await settle(sealing.street.poll)
        told, alarm = await sealing.hear(sealing.seal(changed(8192), form))
        assert (told.stream, told.values) == (PUSH, (8192,))
        assert (alarm.stream, alarm.values) == (ALARM, (8192, 0))
        assert (sealing.breaches, sealing.street.poll.health.strangers) == ({}, 0)

    virtually(work)


def test_a_counter_is_taken_once_also_after_a_restart_and_a_replay_is_told() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        street = sealing.street
        await settle(street.poll)
        first, second = sealing.seal(changed(1)), sealing.seal(changed(2))
        assert len(await sealing.hear(second)) == 2
        assert await sealing.hear(second, first) == []
        assert sealing.breaches == {Breach.COUNTER: 2}
        assert [(name, detail["breach"]) for name, _, detail in street.box.reports if name == "security breach"] == [
            ("security breach", "counter")
        ] * 2
        street.pushes.sessions = street.box.maker()
        assert await sealing.hear(second) == []
        assert len(await sealing.hear(sealing.seal(changed(4)))) == 2

    virtually(work)


def test_a_word_replayed_into_an_association_held_open_is_refused_there_too() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        poll = sealing.street.poll
        await settle(poll)
        session = await poll.sessions.open(poll.port, poll.archive.meter("M0001"))
        word = sealing.seal(changed(1))
        assert len(await sealing.hear(word)) == 2
        with pytest.raises(SecurityError):
            session._association._protection.unprotect(word)

    virtually(work)


def test_what_is_sealed_by_others_or_under_other_keys_is_not_believed_and_the_meter_is_asked() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        poll = sealing.street.poll
        await settle(poll)
        visits = poll.health.visits
        other = replace(sealing.meter.keys, encryption_key=b"another key, not")
        broken = sealing.seal(changed(1), counter=lambda: 1 << 30)
        words = [
            sealing.seal(changed(1), keys=other),
            sealing.seal(changed(1), title=b"SIM\0\0\0\0\1"),
            sealing.seal(changed(1), Ciphering.GENERAL_DED),
            broken[:-1] + bytes((broken[-1] ^ 1,)),
            broken[:20],
        ]
        assert await sealing.hear(*words) == []
        assert sealing.breaches == {Breach.TAG: 2, Breach.TITLE: 1, Breach.CONTROL: 1, Breach.LENGTH: 1}
        assert poll.health.visits > visits
        # a forged counter has not shut out the true ones
        assert len(await sealing.hear(sealing.seal(changed(1)))) == 2

    virtually(work)


def test_who_was_never_recognised_is_asked_first() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock)
        assert await sealing.hear(sealing.seal(changed(8192))) == []
        assert (sealing.breaches, sealing.street.poll.health.pushes) == ({}, 1)

    virtually(work)


def test_a_sealed_push_is_confirmed_sealed_and_its_repetition_once_more_but_kept_once() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        street = sealing.street
        await settle(street.poll)
        said: list[bytes] = []
        street.poll.port = street.poll._line.port = Overheard(street.box.port, said)
        word = sealing.seal(push(axdr.u8(1), invoke=CONFIRMED | 7))
        # no visit follows: its logs are read for it once, and that is not what is counted here
        street.poll.events._logs = frozenset()
        (told,) = await sealing.hear(word, word)
        assert told.values == (1,)
        first, second = said
        assert first == second
        reader = FrameReader()
        reader.receive_data(first)
        frame = reader.next_frame()
        assert frame is not None
        theirs = Cipher(sealing.meter.keys, sealing.meter.title, lambda: 0)
        theirs.peer = TITLE
        opened = theirs.unprotect(frame.payload[3:], Ciphering.GENERAL_GLO)
        assert opened[:5] == bytes((0x10,)) + (CONFIRMED | 7).to_bytes(4)
        assert sealing.breaches == {}

    virtually(work)


class Overheard(PortAround):
    """Notes what leaves."""

    def __init__(self, port: Port, said: list[bytes]) -> None:
        super().__init__(port)
        self.said = said

    async def write(self, data: bytes) -> None:
        self.said.append(data)
        await super().write(data)


def test_what_is_beyond_the_burst_is_not_kept_and_not_confirmed() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        said: list[bytes] = []
        street.poll.port = street.poll._line.port = Overheard(street.box.port, said)
        words = [push(axdr.u8(number), invoke=CONFIRMED | number) for number in range(BURST + 3)]
        await hear(street, *words, between=0.5)
        assert len(street.kept) == BURST
        assert len(said) == BURST

    virtually(work)


def test_the_logical_device_and_the_name_in_it_say_who_has_spoken() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        first, second = street.poll.archive.meter("M0001"), street.poll.archive.meter("M0002")
        # two logical devices of one station, and a meter elsewhere that the words name by its serial number
        street.poll.archive.add(replace(first, id="X2", logical_device=2))
        street.poll.archive.add(replace(second, serial="35017012"))
        named = push(axdr.structure(axdr.octets(b"35017012"), axdr.u8(1)))
        for logical, apdu in ((2, push(axdr.u8(1))), (1, push(axdr.u8(1))), (3, push(axdr.u8(1))), (1, named)):
            source = ServerAddress(logical, first.address, 4).to_bytes()
            await street.pushes._take(street.poll.port, [Told(first.address, logical, apdu, source, b"\x81")])
        assert [each.meter for each in street.kept] == ["X2", "M0001", "M0002"]
        assert (street.poll.health.pushes, street.poll.health.strangers) == (3, 1)

    virtually(work)


def test_a_title_says_who_has_spoken_where_the_address_is_anybodys() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock, replace(CIPHERED, meters=2), RARELY)
        await settle(street.poll)
        second = street.box.meters[1]
        word = Cipher(second.keys, second.title, second.take_counter).protect(changed(1), Ciphering.GENERAL_GLO)
        assert await street.pushes._take(street.poll.port, [Told(999, 1, word, b"", b"")]) == [second.id]
        assert {each.meter for each in street.kept if each.stream == PUSH} == {second.id}

    virtually(work)
