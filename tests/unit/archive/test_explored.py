"""What meters have of which nothing was configured: asked once, kept, shared, and asked anew of another device."""

from dcu.archive.explored import EXPLORED, Explored
from dcu.conversation.exploring import to_data
from dcu.profiles import load_profile
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, virtually

GENERIC = load_profile("generic")
#: Two meters that have the same.
ALIKE = FleetPlan(meters=2, buses=1, hls=0, seed=2)


async def know(box: Box, known: Explored, number: int = 0) -> int:
    """Return how many requests it takes to know what a meter has."""
    session = await box.session(number)
    before = box.requests
    await known.know(session, box.meters[number].id, GENERIC)
    took = box.requests - before
    await session.close()
    return took


def test_a_meter_is_asked_once_and_not_after_a_restart() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        known, later = Explored(box.store), Explored(box.store)
        assert await know(box, known) > 0
        assert await know(box, known) == 0
        found = known.get("M0001")
        assert found is not None
        assert found.streams["load0"].name == COMPANION.streams["load0"].name
        assert await know(box, later) == 0
        kept = later.get("M0001")
        assert kept is not None
        assert to_data(kept) == to_data(found)

    virtually(work)


def test_meters_that_have_the_same_share_it() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ALIKE)
        for known in (Explored(box.store), Explored(box.store)):  # also when it is only recalled
            for number in (0, 1):
                await know(box, known, number)
            assert known.get("M0001") is known.get("M0002") is not None

    virtually(work)


def test_what_was_found_is_another_devices_until_this_one_was_asked() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        known = Explored(box.store)
        await know(box, known)
        found = known.get("M0001")
        known.doubt("M0001")
        assert known.get("M0001") is found
        assert await know(box, known) > 0
        assert await know(box, known) == 0

    virtually(work)


def test_of_a_meter_that_went_only_what_is_kept_is_known() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        known = Explored(box.store)
        await know(box, known)
        known.doubt("M0001")
        known.forget("M0001")
        assert known.get("M0001") is None
        assert await known.recall("M0001", GENERIC)
        box.store.shapes["M0001"][EXPLORED] = {}  # given up, as of another device
        known.forget("M0001")
        assert not await known.recall("M0001", GENERIC)

    virtually(work)


def test_of_a_meter_whose_kind_is_configured_nothing_is_asked_and_nothing_kept() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        known = Explored(box.store)
        session = await box.session()
        before = box.requests
        await known.know(session, "M0001", COMPANION)
        assert box.requests == before
        assert set((await known.explore(session, "M0001", COMPANION)).streams) >= {"load0"}
        assert box.requests > before
        assert (known.get("M0001"), box.store.shapes) == (None, {})
        await session.close()

    virtually(work)
