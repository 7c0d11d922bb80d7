"""What is known of each meter: learned once, kept over a restart, shared by its like."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from dcu.conversation.recognition import RECOGNISE_EVERY
from dcu.conversation.visit import Findings
from dcu.errors import MeterTimeoutError, StoreError
from dcu.model import INSTANT, Order, Reason, Task
from dcu.obis import format_obis, parse_obis
from dcu.plan.backfill import CLOCK_LOST, SETTLED, Range
from dcu.plan.ledger import Account, Asked, Gap
from dcu.store import Recorded
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import COMPANION, LOAD, WIDER, Box, MemoryStore, virtually

STREAMS = [INSTANT, "load0", "billing"]


async def learn_all(box: Box, number: int = 0) -> int:
    """Return how many requests it took a fresh archive to know the shapes of a meter."""
    session = await box.session(number)
    before = box.requests
    shapes = await box.archive().shapes(session, box.meters[number].id, STREAMS)
    took = box.requests - before
    assert list(shapes) == STREAMS
    await session.close()
    return took


def test_a_meter_is_asked_for_its_shapes_once_in_its_life() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        assert await learn_all(box) > 0
        assert await learn_all(box) == 0  # another archive over the same store: a restart

    virtually(work)


def test_what_was_kept_is_what_was_learned() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session(1)
        first = await box.archive().shapes(session, "M0002", STREAMS)
        again = await box.archive().shapes(session, "M0002", STREAMS)
        assert again == first
        assert again["load0"].period == 900
        assert {column.unit for column in again["load0"].columns} == {255, 30, 32}
        await session.close()

    virtually(work)


def test_a_stream_that_is_new_in_the_timetable_is_learned_beside_the_others() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        archive = box.archive()
        session = await box.session()
        await archive.shapes(session, "M0001", ["load0"])
        assert list(await archive.shapes(session, "M0001", ["daily", "load0"])) == ["daily", "load0"]
        assert set(box.store.shapes["M0001"]) == {"load0", "daily"}
        await session.close()

    virtually(work)


def test_meters_of_one_model_share_their_shapes() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=0, seed=2))
        archive = box.archive()
        shapes = []
        for number in (0, 1):
            session = await box.session(number)
            shapes.append(await archive.shapes(session, box.meters[number].id, STREAMS))
            await session.close()
        assert all(shapes[0][stream] is shapes[1][stream] for stream in STREAMS)
        again = box.archive()  # and after a restart
        kept = [await again.shapes(session, meter.id, STREAMS) for meter in box.meters]
        assert all(kept[0][stream] is kept[1][stream] for stream in STREAMS)

    virtually(work)


def test_a_stream_the_meter_denies_is_asked_for_again_only_after_a_restart() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.companion = WIDER
        archive = box.archive()
        session = await box.session()
        assert list(await archive.shapes(session, "M0001", ["load0", "absent"])) == ["load0"]
        before = box.requests
        assert list(await archive.shapes(session, "M0001", ["load0", "absent"])) == ["load0"]
        assert box.requests == before
        assert set(box.store.shapes["M0001"]) == {"load0"}
        await box.archive().shapes(session, "M0001", ["absent"])
        assert box.requests > before
        await session.close()

    virtually(work)


def test_a_meter_that_falls_silent_while_it_is_learned_is_learned_later() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        archive = box.archive()
        session = await box.session()
        box.bus.silence("M0001")
        with pytest.raises(MeterTimeoutError):
            await archive.shapes(session, "M0001", ["load0"])
        box.bus.silence()
        session = await box.session()
        assert list(await archive.shapes(session, "M0001", ["load0"])) == ["load0"]
        await session.close()

    virtually(work)


def test_a_shape_that_cannot_be_kept_stops_the_visit() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await box.archive().shapes(session, "M0001", ["load0"])

    virtually(work)


def test_ranges_begin_at_the_watermark_or_the_backfill() -> None:
    async def work(clock: VirtualClock) -> None:
        store = MemoryStore()
        now = int(clock.now())
        store.watermarks = {("M0001", "load0"): now - 5000, ("M0002", "load0"): 77}
        box = Box(clock, store=store)
        session = await box.session()
        archive = box.archive(Task("billing", 900.0, backfill=86_400.0))
        shapes = await archive.shapes(session, "M0001", STREAMS)
        assert archive.ranges("M0001", shapes, now) == {
            INSTANT: None,
            "load0": Range(now - 4999, now, more=False),
            "billing": Range(now - 86_400, now + CLOCK_LOST, more=False, since=now - 86_400),
        }
        recorded = Recorded({("M0001", "load0"): Account(0, 900, now - 100)})
        assert archive.stored(Findings(), recorded, 0.0) == []
        assert archive.ranges("M0001", shapes, now)["load0"] == Range(now - 99, now, more=False)
        await session.close()

    virtually(work)


def test_what_is_left_of_the_past_is_asked_in_the_order_of_the_timetable() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        now = int(clock.now())
        key, gap = ("M0001", "load0"), Gap(now - 300_000, now - 100_000, Reason.PENDING)
        for order, start in ((Order.NEWEST, gap.end - 86_400 + 450), (Order.OLDEST, gap.start - 450)):
            archive = box.archive(Task("load0", 900.0, order=order))
            shapes = await archive.shapes(session, "M0001", STREAMS)
            assert archive.past("M0001", shapes, 0.0) == {}
            more = archive.stored(Findings(more=["daily"]), Recorded({key: Account(0, 900, now, (gap,))}), 0.0)
            assert more == ["daily", "load0"]
            assert archive.past("M0001", shapes, 0.0) == {"load0": Range(start, start + 86_399, more=True)}
            assert archive.stored(Findings(), Recorded({key: Account(0, 900, now)}), 0.0) == []
            assert archive.past("M0001", shapes, 0.0) == {}
        await session.close()

    virtually(work)


def test_a_shape_that_was_outgrown_is_learned_anew_and_kept() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        archive = box.archive()
        session = await box.session()
        true = await archive.shapes(session, "M0001", ["load0", "daily"])
        box.store.shapes["M0001"]["load0"] = {"period": 60, "columns": []}
        archive = box.archive()
        assert await archive.shapes(session, "M0001", ["load0"]) == {}
        past = Range(1, 900, more=True)
        doubted = Findings(outgrown={"load0": past})
        await archive.review("M0001", doubted, clock)
        assert doubted.asked == {}
        before = box.requests
        assert await archive.shapes(session, "M0001", ["load0", "daily"]) == true
        assert box.requests > before
        assert box.store.shapes["M0001"]["load0"]["period"] == 900
        # doubted again with the shape it had then: not the shape's fault
        await archive.review("M0001", Findings(outgrown={"load0": past}), clock)
        assert await archive.shapes(session, "M0001", ["load0", "daily"]) == true
        hopeless = Findings(outgrown={"load0": past})
        await archive.review("M0001", hopeless, clock)
        dropped = [Asked(past.start, past.end, 900, Reason.DROPPED)]
        assert (hopeless.asked, hopeless.more) == ({("M0001", "load0"): dropped}, ["load0"])
        await session.close()

    virtually(work)


def test_of_rows_none_of_which_can_be_used_what_is_settled_is_given_up_and_the_shape_is_asked_once_a_day() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        archive = box.archive()
        session = await box.session()
        now = int(clock.now())

        async def review(start: int, offset: float = 0.0) -> Findings:
            await archive.shapes(session, "M0001", ["load0"])
            found = Findings(outgrown={"load0": Range(start, now, more=False)}, offset=offset)
            await archive.review("M0001", found, clock)
            return found

        first = await review(now - 7200)
        assert (first.asked, [*first.outgrown]) == ({}, ["load0"])
        asked = box.requests
        learned = await review(now - 7200, offset=-600.0)
        assert learned.asked == {
            ("M0001", "load0"): [Asked(now - 7200, now - 600 - SETTLED, 900, Reason.DROPPED)],
        }
        assert (learned.more, learned.outgrown) == ([], {})
        assert box.requests > asked
        asked = box.requests
        assert (await review(now - 1800)).asked == {}
        assert box.requests == asked
        await asyncio.sleep(RECOGNISE_EVERY)
        assert [*(await review(now - 1800)).outgrown] == ["load0"]
        await session.close()

    virtually(work)


def test_a_column_that_meters_of_its_kind_have_and_this_one_lacks_is_told_once() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=0, seed=2))
        stream, lacked = COMPANION.streams["load0"], parse_obis("1-0:9.8.0.255")
        wider = replace(stream, columns=(*stream.columns, lacked))
        box.companion = replace(COMPANION, streams={**COMPANION.streams, "load0": wider})
        for archive in (box.archive(), box.archive()):  # and after a restart
            with capture_logs() as told:
                for number, meter in enumerate(box.meters):
                    session = await box.session(number)
                    await archive.shapes(session, meter.id, ["load0", "daily"])
                    await session.close()
            (line,) = told
            assert (line["event"], line["columns"]) == ("a profile lacks columns", [format_obis(lacked)])

    virtually(work)


def test_it_knows_its_meters() -> None:
    async def work(clock: VirtualClock) -> None:
        archive = Box(clock).archive()
        assert "M0002" in archive
        assert "M0003" not in archive
        assert archive.meter("M0002").address == 18
        assert archive.profile("M0002") is COMPANION

    virtually(work)


def test_of_a_profile_that_somebody_changed_nothing_is_known_until_it_is_learned_anew() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        archive, session = box.archive(LOAD), await box.session()
        await archive.shapes(session, "M0001", ["load0", "daily", INSTANT])
        assert archive.paces("M0001") == {"load0": 900}, "only what the timetable has read"
        archive.relearn("M0001", COMPANION.streams["load0"].name)
        assert archive.paces("M0001") == {}
        assert set(archive.known("M0001")) == {"daily", INSTANT}
        assert (await archive.shapes(session, "M0001", ["load0"]))["load0"].period == 900
        await session.close()

    virtually(work)
