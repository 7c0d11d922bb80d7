"""Captures and watermarks: kept once, together, and found again."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from dcu.clock import DAY
from dcu.model import Column
from dcu.store import Store
from dcu.store.readings import Readings
from dcu.store.segments import SEGMENT_ROWS, Segment
from tests.captures import COLUMNS, SetClock, capture


async def items(store: Store, stream: str = "load0") -> list[object]:
    block = await store.outbox.next_block(stream, 1000)
    return list(block.items) if block else []


async def test_a_capture_comes_back_as_it_was_after_a_restart(path: Path, clock: SetClock) -> None:
    odd = replace(capture(900), values=(None, True, -1, 2.5, "ü", b"\x00"), columns=(Column(1, bytes(6)),) * 6)
    bare = replace(capture(901), status=255, offset=None, trusted=False, values=(), columns=())
    async with Store.open(path, clock) as store:
        await store.readings.record([odd, bare], {})
    async with Store.open(path, clock) as store:
        assert await items(store) == [odd, bare]


async def test_watermarks_come_back_and_never_move_back(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([], {("M1", "load0"): 900, ("M2", "daily"): 5})
        await store.readings.record([], {("M1", "load0"): 600})
        await store.readings.record([capture(3, "M1", "instant")], {})
    async with Store.open(path, clock) as store:
        assert await store.readings.watermarks() == {("M1", "load0"): 900, ("M2", "daily"): 5}


async def test_watermarks_of_many_streams_have_one_object_for_each_meters_name(path: Path, clock: SetClock) -> None:
    marks = {(f"M{number}", stream): 900 for number in range(3) for stream in ("load0", "daily")}
    async with Store.open(path, clock) as store:
        await store.readings.record([], marks)
    async with Store.open(path, clock) as store:
        found = await store.readings.watermarks()
    assert found == marks
    assert len({id(meter) for meter, _ in found}) == 3


async def test_what_a_watermark_covers_is_not_stored_twice(store: Store) -> None:
    await store.readings.record([capture(900), capture(1800)], {("M1", "load0"): 1800})
    await store.readings.record([capture(900), capture(1800), capture(2700)], {("M1", "load0"): 2700})
    assert await items(store) == [capture(900), capture(1800), capture(2700)]


async def test_captures_of_one_second_are_both_kept(store: Store) -> None:
    first, second = capture(900, values=(1,)), capture(900, values=(2,))
    await store.readings.record([first, second], {("M1", "load0"): 900})
    assert await items(store) == [first, second]


async def test_the_watermark_of_another_meter_or_stream_covers_nothing(store: Store) -> None:
    await store.readings.record([capture(900)], {("M1", "load0"): 900})
    others = [capture(900, "M2"), capture(900, "M1", "load1")]
    await store.readings.record(others, {("M2", "load0"): 900, ("M1", "load1"): 900})
    assert [*await items(store), *await items(store, "load1")] == [capture(900), *others]


async def test_without_a_watermark_everything_is_stored(store: Store) -> None:
    await store.readings.record([capture(900)], {("M1", "load0"): 900})
    await store.readings.record([capture(900)], {})
    assert await items(store) == [capture(900), capture(900)]


async def test_captures_of_one_meter_are_found_by_time(store: Store) -> None:
    for at in range(10):
        await store.readings.record([capture(at, meter) for meter in ("M1", "M2")], {})
    assert await store.readings.captures("M1", "load0", 2, 4, 10) == [capture(2), capture(3), capture(4)]
    assert await store.readings.captures("M2", "load0", 0, 9, 2) == [capture(8, "M2"), capture(9, "M2")]
    assert await store.readings.captures("M1", "load0", 20, 30, 10) == []
    assert await store.readings.captures("M1", "load1", 0, 9, 10) == []
    assert await store.readings.captures("M1", "load0", -(10**30), 10**30, 10**30) == [capture(at) for at in range(10)]


async def test_all_captures_of_a_range_come_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.store.readings.ANSWER_BOUND", 7)
    times = [*range(0, 200_000, 9000), *range(90_000, 90_030)]
    await store.readings.record([capture(at, stream="event.fraud") for at in times], {})
    parts = [part async for part in store.readings.between("M1", "event.fraud", 0, 180_000)]
    assert max(map(len, parts)) <= 7
    assert sorted(each.at for part in parts for each in part) == sorted(at for at in times if at <= 180_000)


async def test_of_one_second_there_may_be_more_than_an_answer_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcu.store.readings.ANSWER_BOUND", 7)
    fraud = [capture(300_000, stream="event.fraud", values=(code,)) for code in range(20)]
    for piece in (
        fraud[:3],
        fraud[3:9],
        [capture(300_001, stream="event.fraud", values=(99,)), *fraud[9:14]],
        fraud[14:],
    ):
        await store.readings.record(piece, {})
    for end in (300_000, 300_001):
        parts = [part async for part in store.readings.between("M1", "event.fraud", 300_000, end)]
        assert max(map(len, parts)) <= 7
        codes = [each.values[0] for part in parts for each in part if each.at == 300_000]
        assert (len(codes), set(codes)) == (20, set(range(20)))


async def test_a_segment_is_unpacked_once_for_all_of_its_runs_on_a_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = [replace(capture(DAY + 60 * number), read_at=float(number)) for number in range(1440)]
    await store.readings.record(minutes, {})
    [(segments,)] = await store.database.read("SELECT count(*) FROM segments")
    unpacked, real = [], Segment.unpacked

    def counted(first: int, octets: int, content: bytes | str) -> Segment:
        unpacked.append(first)
        return real(first, octets, content)

    with monkeypatch.context() as patched:
        patched.setattr(Segment, "unpacked", counted)
        page = await store.readings.captures("M1", "load0", DAY, 2 * DAY - 1, 1000)
    assert page == minutes[-1000:]
    assert len(unpacked) == len(set(unpacked)) <= segments <= 1440 / SEGMENT_ROWS + 1


async def test_the_latest_is_the_one_recorded_last(store: Store) -> None:
    assert await store.readings.latest("M1", "load0") is None
    await store.readings.record([capture(900), capture(300)], {})
    assert await store.readings.latest("M1", "load0") == capture(300)


async def test_the_cost_of_a_question_does_not_grow_with_the_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many segments are looked into as it takes to find what is asked for, however often the meter was visited."""
    looked: list[int] = []
    segments = Readings._segments

    async def counted(readings: Readings, stream: int, first: int, last: int) -> list[Segment]:
        looked.append(first)
        return await segments(readings, stream, first, last)

    monkeypatch.setattr(Readings, "_segments", counted)
    for at in range(60):
        await store.readings.record([capture(at)], {})
        looked.clear()
        assert await store.readings.latest("M1", "load0") == capture(at)
        assert len(looked) == 1
    looked.clear()
    assert await store.readings.captures("M1", "load0", 0, 50, 3) == [capture(at) for at in (48, 49, 50)]
    assert len(looked) == 12


async def test_meters_of_one_model_share_their_columns_on_disk_and_in_memory(store: Store) -> None:
    for meter in ("M1", "M2"):
        await store.readings.record([replace(capture(1, meter), columns=(*COLUMNS[:4], *COLUMNS[4:]))], {})
    assert await store.database.read("SELECT count(*) FROM layouts") == [(1,)]
    block = await store.outbox.next_block("load0", 2)
    assert block is not None
    first, second = block.items
    assert first.columns is second.columns  # type: ignore[union-attr]


async def test_a_long_backfill_lets_the_loop_turn(store: Store) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await store.readings.record([capture(at) for at in range(10 * SEGMENT_ROWS)], {})
    assert turns >= 10
    counting.cancel()
