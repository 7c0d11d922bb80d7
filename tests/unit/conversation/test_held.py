"""What is held open between visits: found again by its meter, for as long as it may rest, and no more than fit."""

import asyncio

import pytest

from dcu.conversation import held as module
from dcu.conversation.held import MAX_OPEN, RELEASE_BOUND, Held
from dcu.conversation.invocations import COUNTER_BLOCK, COUNTER_RESERVE
from dcu.conversation.session import Session
from dcu.errors import StoreError
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.items import ENERGY
from tests.lines import CIPHERED, Box, virtually

SOON = 10.0


def holding(box: Box, keep_open: float = 90.0) -> Held:
    return Held(box.maker(), keep_open, box.clock)


async def left(box: Box, held: Held, number: int = 0, coming: float | None = SOON) -> Session:
    """Open a session with a meter and leave it."""
    session = await box.session(number)
    await held.leave(box.entry(number), session, coming)
    return session


async def energy(session: Session) -> int:
    (value,) = await session.get([ENERGY])
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize("plan", [FleetPlan(meters=1, buses=1, hls=0), CIPHERED], ids=["lls", "ciphered"])
def test_what_was_left_goes_on_without_a_word_about_it(plan: FleetPlan) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, plan)
        held = holding(box)
        session = await left(box, held)
        before = box.requests
        for _ in range(10):  # frame numbers and invoke-ids go round
            await asyncio.sleep(60)
            taken = await held.take(box.entry())
            assert taken is session
            await energy(taken)
            await held.leave(box.entry(), taken, SOON)
        assert box.requests - before == 10

    virtually(work)


def test_it_belongs_to_one_visit_at_a_time() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        held = holding(box)
        await left(box, held)
        assert await held.take(box.entry(1)) is None
        assert await held.take(box.entry()) is not None
        assert await held.take(box.entry()) is None

    virtually(work)


def test_who_is_not_expected_in_time_is_released_at_once() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        for keep_open, coming in [(90.0, None), (90.0, 90.0), (0.0, 0.0)]:
            held = holding(box, keep_open)
            before = box.requests
            await left(box, held, coming=coming)
            assert box.requests - before == len(("SNRM", "AARQ", "DISC"))
            assert len(held) == 0

    virtually(work)


def test_what_rested_too_long_is_forgotten_without_a_word() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        held = holding(box)
        await left(box, held)
        before = box.requests
        await asyncio.sleep(90.0)
        assert await held.take(box.entry()) is None
        await held.release()
        assert box.requests == before

    virtually(work)


def test_above_the_bound_the_one_that_comes_last_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 2)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=3, buses=1, hls=0))
        held = holding(box)
        await left(box, held, 0, coming=10.0)
        await left(box, held, 1, coming=30.0)
        before = box.requests
        await left(box, held, 2, coming=20.0)
        assert box.requests - before == len(("SNRM", "AARQ", "DISC"))
        assert [await held.take(box.entry(number)) is not None for number in range(3)] == [True, False, True]

    virtually(work)


def test_a_meter_found_to_have_given_it_up_is_trusted_for_half_as_long_until_it_keeps_one() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        held = holding(box)
        await left(box, held)
        held.forget()
        held.stale(box.entry())
        await left(box, held, coming=50.0)
        assert len(held) == 0
        await left(box, held, coming=40.0)
        taken = await held.take(box.entry())
        assert taken is not None
        await energy(taken)
        await held.leave(box.entry(), taken, coming=50.0)
        assert len(held) == 1

    virtually(work)


def test_what_runs_on_a_lost_line_or_under_old_keys_is_dropped() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        held = holding(box)
        await left(box, held, 0)
        await left(box, held, 1)
        before = box.requests
        held.forget("M0001")
        assert len(held) == 1
        held.forget()
        assert (len(held), box.requests) == (0, before)

    virtually(work)


def test_the_end_releases_all_that_is_held_within_its_bound() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=MAX_OPEN, buses=1, hls=0))
        held = holding(box)
        for number in range(MAX_OPEN):
            await left(box, held, number)
        before, began = box.requests, clock.monotonic()
        await held.release()
        assert box.requests - before == MAX_OPEN
        assert clock.monotonic() - began < RELEASE_BOUND
        for number in range(MAX_OPEN):
            await left(box, held, number)
        box.bus.silence(*(meter.id for meter in box.meters))
        began = clock.monotonic()
        await held.release()
        assert len(held) == 0
        assert clock.monotonic() - began <= RELEASE_BOUND

    virtually(work)


def test_a_visit_that_goes_on_has_counters_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        maker = box.maker()
        held = Held(maker, 90.0, clock)
        session = await maker.open(box.port, box.entry())
        for _ in range(COUNTER_BLOCK - COUNTER_RESERVE):
            await energy(session)
        await held.leave(box.entry(), session, SOON)
        assert len(box.store.reserved) == 1
        taken = await held.take(box.entry())
        assert taken is session
        assert len(box.store.reserved) == 2
        await energy(taken)
        assert box.meters[0].heard == box.store.reserved[1].start
        await held.leave(box.entry(), taken, SOON)
        monkeypatch.setattr("dcu.conversation.invocations.COUNTER_RESERVE", 2 * COUNTER_BLOCK)
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await held.take(box.entry())

    virtually(work)
