"""Pushes that are said again: confirmed once more and kept once, and what happened anew is kept anew."""

from dcu.dlms import axdr
from dcu.errors import Breach, ShelteredError
from dcu.model import PUSH, Capture
from dcu.polling.repetition import ANEW, KNOWN, Repetition
from sim.virtual import VirtualClock
from tests.lines import ORIGIN, run_for, settle, virtually
from tests.unit.polling.test_pushes import CONFIRMED, RARELY, Sealing, Street, hear, push
from tests.unit.polling.test_pushes_sealed import Overheard


def told(street: Street) -> list[Capture]:
    return [each for each in street.kept if each.stream == PUSH]


def overhear(street: Street) -> list[bytes]:
    """Return what the line is told from now on; no visit follows a push."""
    said: list[bytes] = []
    street.poll.port = street.poll._line.port = Overheard(street.box.port, said)
    street.poll.events._logs = frozenset()
    return said


def test_a_push_is_known_again_and_the_oldest_of_many_is_not() -> None:
    repetition = Repetition()
    for number in range(KNOWN + 1):
        repetition.note("A", bytes((number,)), b"yes", 1e9)
    assert repetition.answer("A", b"\x01", 5.0) == b"yes"
    assert repetition.answer("B", b"\x01", 5.0) is None
    assert repetition.answer("A", b"\x00", 5.0) is None


def test_without_a_time_the_same_words_mean_the_same_for_a_minute_and_until_something_else_is_said() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        said = overhear(street)
        alarm, calm = (push(axdr.u8(number), invoke=CONFIRMED | 1) for number in (1, 2))
        await hear(street, alarm, alarm)
        assert (len(told(street)), len(said)) == (1, 2)
        await run_for(street.poll, ANEW)
        await hear(street, alarm)
        await hear(street, calm, alarm)
        assert [each.values[0] for each in told(street)] == [1, 1, 2, 1]
        assert len(said) == 5

    virtually(work)


def test_pushes_that_bear_their_time_are_kept_once_also_when_they_are_repeated_in_turn() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock)
        said = overhear(street)
        words = [push(axdr.u8(n), at=int(ORIGIN) - 9 + n, invoke=CONFIRMED | n) for n in (1, 2)]
        await hear(street, *words, *words)
        assert [each.values for each in told(street)] == [(1,), (2,)]
        assert len(said) == 4

    virtually(work)


def test_of_sealed_pushes_whose_confirmations_were_lost_each_is_confirmed_again_and_is_no_breach() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        await settle(sealing.street.poll)
        said = overhear(sealing.street)
        first, second = (sealing.seal(push(axdr.u8(n), invoke=CONFIRMED | n)) for n in (1, 2))
        assert len(await sealing.hear(first, second, first, second, first)) == 2
        assert (len(said), sealing.breaches) == (5, {})

    virtually(work)


def test_after_a_restart_the_push_kept_last_is_confirmed_and_one_before_it_is_a_breach() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        street = sealing.street
        await settle(street.poll)
        said = overhear(street)
        first, last = (sealing.seal(push(axdr.u8(n), invoke=CONFIRMED | n)) for n in (1, 2))
        assert len(await sealing.hear(first, last)) == 2
        street.pushes.sessions = street.box.maker()
        street.pushes._repetition = Repetition()
        said.clear()
        assert await sealing.hear(last, last) == []
        assert (len(said), len(set(said)), sealing.breaches) == (2, 1, {})
        assert await sealing.hear(first) == []
        assert (len(said), sealing.breaches) == (2, {Breach.COUNTER: 1})

    virtually(work)


def test_a_sealed_push_that_waits_in_memory_is_not_confirmed_when_it_is_said_again() -> None:
    async def work(clock: VirtualClock) -> None:
        sealing = Sealing(clock, RARELY)
        street = sealing.street
        await settle(street.poll)
        said = overhear(street)
        street.box.store.failure = ShelteredError("disk full")
        word = sealing.seal(push(axdr.u8(1), invoke=CONFIRMED | 7))
        await sealing.hear(word, word)
        assert (said, sealing.breaches) == ([], {})

    virtually(work)
