"""The ledger in the store: what is expected, here and missing, kept with the captures and told in ranges."""

from pathlib import Path

import pytest

from dcu.model import Reason
from dcu.plan.ledger import Asked, Gap
from dcu.store import Store
from dcu.store.ledger import GapLine, Span, Tally
from tests.captures import SetClock, capture

KEY = ("M1", "load0")
HOURS = Span("load0", 0, 7200, 900)


async def ask(store: Store, times: list[int], asked: Asked, meter: str = "M1", stream: str = "load0") -> int:
    """Record an answer; return how many captures were news."""
    before = (await store.outbox.pending()).get(stream, 0)
    await store.readings.record([capture(at, meter, stream) for at in times], {}, asked={(meter, stream): [asked]})
    return (await store.outbox.pending()).get(stream, 0) - before


async def test_a_healthy_answer_writes_no_gap(store: Store) -> None:
    assert await ask(store, [900, 1800, 2700], Asked(1, 2700, 900)) == 3
    assert await store.database.read("SELECT count(*) FROM gaps") == [(0,)]
    assert await store.readings.watermarks() == {KEY: 2700}
    assert await store.ledger.tallies([HOURS]) == [Tally(8, 3, {})]


async def test_gaps_are_kept_with_the_captures_and_over_a_restart(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await ask(store, [900, 3600], Asked(1, 3600, 900))
    async with Store.open(path, clock) as store:
        assert await store.ledger.gaps([HOURS]) == [
            GapLine("M1", "load0", 1800, 2700, Reason.NO_RECORD, 2),
            GapLine("M1", "load0", 4500, 7200, None, 4),
        ]
        [tally] = await store.ledger.tallies([HOURS])
        assert (tally.expected, tally.read, tally.open, tally.share) == (8, 2, 4, 0.25)
        # a row that turns up later is taken once, and what is known is not taken again
        assert await ask(store, [900, 1800, 3600], Asked(1, 3600, 900)) == 1
        assert await ask(store, [900, 1800, 3600], Asked(1, 3600, 900)) == 0
        assert (await store.ledger.gaps([HOURS]))[0] == GapLine("M1", "load0", 2700, 2700, Reason.NO_RECORD, 1)


async def test_a_record_tells_how_its_streams_stand(store: Store) -> None:
    asked = {KEY: [Asked(3601, 4500, 900, since=900)], ("M1", "daily"): [Asked(1, 100, 0)]}
    recorded = await store.readings.record([capture(4500)], {}, asked=asked)
    assert recorded.accounts[KEY].watermark == 4500
    assert recorded.accounts[KEY].pending == (Gap(900, 3600, Reason.PENDING),)
    assert recorded.accounts["M1", "daily"].watermark == 100
    assert recorded.overflow == ()
    assert await store.ledger.unread() == {KEY: (Gap(900, 3600, Reason.PENDING),)}


async def test_what_was_never_reached_is_open_from_when_it_was_expected(store: Store) -> None:
    await store.ledger.expect({"load0": {900: ["M1", "M2"]}})
    await ask(store, [900, 1800], Asked(1, 1800, 900), "M2")
    assert await store.ledger.tallies([Span("load0", 0, 1800, 900)]) == [Tally(4, 2, {})]
    assert await store.ledger.gaps([Span("load0", 0, 1800, 900)]) == [GapLine("M1", "load0", 900, 1800, None, 2)]
    # without a period nobody knows how much there should be
    assert await store.ledger.gaps([Span("load0", 0, 1800)]) == []
    assert await store.ledger.tallies([Span("billing", 0, 1800)]) == [Tally(0, 0, {})]
    assert Tally(0, 0, {}).share is None


async def test_expecting_again_keeps_the_beginning_and_others_are_expected_no_more(store: Store) -> None:
    await store.ledger.expect({"load0": {900: ["M1", "M2"]}, "daily": {900: ["M1"]}})
    await store.ledger.expect({"load0": {1800: ["M1", "M3"]}})
    found = await store.database.read(
        "SELECT meters.name, streams.name, since FROM marks JOIN meters USING (meter) "
        "JOIN streams USING (stream) ORDER BY 1, 2"
    )
    assert found == [("M1", "daily", None), ("M1", "load0", 900), ("M2", "load0", None), ("M3", "load0", 1800)]
    # what was asked while nothing was expected is where it goes on
    await store.readings.record([], {("M2", "load0"): 5000})
    await store.ledger.expect({"load0": {100: ["M2"]}})
    assert (await store.database.read("SELECT since FROM marks WHERE since IS NOT NULL")) == [(5001,)]


async def test_a_meter_is_not_asked_for_what_it_does_not_have(store: Store) -> None:
    await store.ledger.expect({"load0": {900: ["M1", "M2"]}})
    await store.ledger.renounce("M1", ["load0"])
    assert await store.ledger.tallies([Span("load0", 0, 1800, 900)]) == [Tally(2, 0, {})]


async def test_tallies_count_what_lies_in_their_span_only(store: Store) -> None:
    await ask(store, [900, 1800, 4500, 5400], Asked(1, 5400, 900))
    spans = [Span("load0", 1800, 3600), Span("load0", 2700, 5400), Span("load0", 5400, 9000), Span("load0", 0, 899)]
    assert await store.ledger.tallies(spans) == [
        Tally(2, 0, {Reason.NO_RECORD: 2}),
        Tally(3, 2, {Reason.NO_RECORD: 1}),
        Tally(4, 0, {}),
        Tally(0, 0, {}),
    ]
    assert await store.ledger.tallies([HOURS], "M1") == await store.ledger.tallies([HOURS])
    assert await store.ledger.tallies([HOURS], "M9") == [Tally(0, 0, {})]


async def test_gaps_are_told_in_pages_and_by_what_was_asked_for(store: Store) -> None:
    for meter in ("M2", "M1"):
        for stream in ("load1", "load0"):
            await ask(store, [900, 2700, 4500], Asked(1, 4500, 900), meter, stream)
    spans = [Span(stream, 0, 4500) for stream in ("load0", "load1")]
    every = await store.ledger.gaps(spans)
    assert [line.place for line in every] == [
        (meter, stream, start) for meter in ("M1", "M2") for stream in ("load0", "load1") for start in (1800, 3600)
    ]
    first = await store.ledger.gaps(spans, limit=3)
    assert first + await store.ledger.gaps(spans, after=first[-1].place) == every
    assert await store.ledger.gaps(spans, meter="M2", stream="load1", since=1801) == [every[-1]]
    assert await store.ledger.gaps(spans, meter="M2", stream="load9") == []


async def test_what_another_meter_held_is_not_asked_of_this_one(store: Store) -> None:
    for meter in ("M1", "M2"):
        await ask(store, [4500], Asked(3601, 4500, 900, since=900), meter)
    await store.ledger.forgo("M1", {})
    assert list(await store.ledger.unread()) == [("M2", "load0")]
    assert [line.reason for line in await store.ledger.gaps([])] == [Reason.NO_RECORD, Reason.PENDING]
    await store.ledger.forgo("M1", {"load0": 9000, "load1": 9000})
    assert [(line.meter, line.start, line.end) for line in await store.ledger.gaps([])] == [
        ("M1", 900, 3600),
        ("M1", 5400, 8100),
        ("M2", 900, 3600),
    ]
    marks = await store.readings.watermarks()
    assert (marks["M1", "load0"], marks["M2", "load0"]) == (8549, 4500)


async def test_what_comes_a_second_time_has_its_clock_for_a_reason(store: Store) -> None:
    await ask(store, [900, 1800, 2700], Asked(1, 2700, 900))
    await ask(store, [2700], Asked(1, 2700, 0), stream="billing")
    for _ in range(2):
        await store.ledger.repeat("M1", 1000)
        found = [(line.stream, line.start, line.end, line.reason) for line in await store.ledger.gaps([])]
        assert found == [("load0", 1800, 2700, Reason.CLOCK)]


async def test_what_is_open_again_is_so_after_a_restart(store: Store) -> None:
    await ask(store, [900, 1800], Asked(1, 9000, 900))
    assert await store.ledger.reopen("M1", {"load0": 9000, "load9": 5}, sure=True) == {}
    accounts = await store.ledger.reopen("M1", {"load0": 4500}, sure=True)
    assert [(account.top, account.gaps) for account in accounts.values()] == [(1800, ())]
    assert (await store.readings.watermarks())[KEY] == accounts[KEY].watermark == 2249
    assert await store.ledger.gaps([]) == []


async def test_too_many_gaps_are_joined_and_that_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.store.marks.GAP_BOUND", 3)
    times = list(range(900, 9000, 1800))
    recorded = await store.readings.record([capture(at) for at in times], {}, asked={KEY: [Asked(1, times[-1], 900)]})
    assert recorded.overflow == (KEY,)
    assert [(line.start, line.end) for line in await store.ledger.gaps([])] == [
        (1800, 3600),
        (5400, 5400),
        (7200, 7200),
    ]


async def test_captures_are_counted_by_how_far_they_got(store: Store) -> None:
    assert (await store.outbox.shipped("load0", 0)).stored == 0
    for at in range(900, 9900, 900):
        await store.readings.record([capture(at), capture(at, "M2")], {})
    first = await store.outbox.next_block("load0", 6)
    assert first is not None
    await store.outbox.next_block("load0", 4)
    await store.outbox.acknowledge("load0", first.seq)
    everything = await store.outbox.shipped("load0", 0)
    assert (everything.stored, everything.delivered, everything.acknowledged) == (20, 10, 6)
    of_one = await store.outbox.shipped("load0", 1800, "M2")
    assert (of_one.stored, of_one.delivered, of_one.acknowledged) == (9, 4, 2)


async def test_counting_goes_through_many_rows_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.store.outbox.COUNTED", 3)
    await store.readings.record([capture(at) for at in range(10)], {})
    assert (await store.outbox.shipped("load0", 4)).stored == 6
