"""What events mean and which of them are news; and that an alarm is followed to the logs within the visit."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from dcu.clock import DAY, iso
from dcu.events import LOOK_BACK, SINCE, EventSieve, bits, code_of, describe, risen
from dcu.model import ALARM, Capture, Column, Task, Value
from dcu.obis import parse_obis
from dcu.profiles import load_profile
from dcu.store import Store
from sim.fleet import FleetPlan
from sim.models import FRAUD_ALARM
from sim.virtual import VirtualClock
from tests.captures import SetClock, capture
from tests.lines import COMPANION, ORIGIN, Box, MemoryStore, settle, virtually

FRAUD = "event.fraud"
CODE = (Column(1, parse_obis("0-0:96.11.1.255")),)
STATUS = (Column(1, parse_obis("0-0:96.10.1.255")), Column(3, parse_obis("1-0:1.8.0.255")))
WORD = (Column(1, parse_obis("0-0:97.98.0.255")),)


def event(code: Value, at: int = 100, stream: str = FRAUD, meter: str = "M1") -> Capture:
    return replace(capture(at, meter, stream, values=(code,)), columns=CODE)


def row_of(word: Value, at: int) -> Capture:
    return replace(capture(at, "M1", "load0", values=(word, 5)), columns=STATUS)


def alarm(*words: Value, at: int = 100, meter: str = "M1") -> Capture:
    return replace(capture(at, meter, ALARM, values=words), columns=WORD * len(words))


def sieve(store: MemoryStore | None = None) -> EventSieve:
    return EventSieve(store or MemoryStore(), lambda _: COMPANION, [FRAUD, "load0", ALARM, "event.dcu"])


@pytest.mark.parametrize(
    ("columns", "values", "code"),
    [
        (CODE, (40,), 40),
        ((Column(3, bytes(6)), *CODE), (7, 40), 40),
        ((Column(3, bytes(6)),), (7,), 7),
        ((Column(3, bytes(6)), *CODE), (7, "none"), 7),
        (CODE, (True,), None),
        ((), (), None),
    ],
)
def test_the_code_is_what_the_column_of_codes_holds_or_the_first_number(
    columns: tuple[Column, ...], values: tuple[Value, ...], code: int | None
) -> None:
    assert code_of(replace(event(1), columns=columns, values=values)) == code


def test_bits_count_from_the_lowest_of_a_number_and_from_the_first_of_a_bit_string() -> None:
    assert bits(0b1000_0000_0000_0101) == {0, 2, 15}
    assert bits("0100" + "1" * 2) == {1, 4, 5}
    assert bits(None) == bits(-1) == bits(True) == bits(b"\x01") == set()


@pytest.mark.parametrize(
    ("known", "later", "told"),
    [
        (0, [0x80], ["power down"]),
        (0x80, [0x80], []),
        (0x80, [0x00, 0x82], ["clock invalid", "power down"]),
        (0x80, [0x88], []),
        (0x08, [0x00, None, 0x48], []),
        ("00000000", ["00000001"], ["power down"]),
    ],
)
def test_of_status_bits_those_are_told_that_rise_and_mean_something(
    known: Value, later: list[Value], told: list[str]
) -> None:
    rows = [row_of(word, 900 * (number + 2)) for number, word in enumerate(later)]
    assert risen(COMPANION, row_of(known, 900), [*reversed(rows), row_of(0xFF, 900), row_of(0xFF, 0)]) == told
    assert risen(replace(COMPANION, status=None), row_of(known, 900), rows) == []


async def test_an_event_that_is_held_is_no_news_when_its_meters_clock_shows_that_time_again() -> None:
    store = MemoryStore()
    store.captures = [event(40, at) for at in (100, 7300)]
    fresh = [event(40, 3700), event(42, 7300), event(40, 7300)]
    assert await sieve(store).sift(fresh) == fresh[:2]
    assert await sieve(store).sift([event(40, 100_000)]) == [event(40, 100_000)]


async def test_a_log_that_is_read_once_more_is_no_news_however_long_it_is() -> None:
    store = MemoryStore()
    log = [event(40 + number % 2, 60 * number) for number in range(250)]
    store.captures = [*log, *(event(42, 7 * DAY + number) for number in range(LOOK_BACK))]
    assert await sieve(store).sift([*log, event(43, 15_000)]) == [event(43, 15_000)]


async def test_a_log_of_thousands_that_is_read_once_more_is_no_news(tmp_path: Path) -> None:
    now = 300 * DAY
    log = [event(40 + number % 6, now + 60 * number) for number in range(2500)]
    # more in one day than the store gives in one answer, and events of that time that are not in this one
    log += [event(40 + number % 6, now + DAY // 2 + 7 * number) for number in range(1100)]
    other = [event(50, now + 45 * number) for number in range(2000)]
    async with Store.open(tmp_path / "store.db", SetClock()) as store:
        for rows in (log, other):
            await store.readings.record([replace(each, read_at=now) for each in rows], {})
        held = EventSieve(store.readings, lambda _: COMPANION, [FRAUD])
        assert await held.sift(log) == []
        fresh = [event(55, now + 30), event(55, now + 2 * DAY)]
        assert await held.sift([*log, *fresh]) == fresh


def test_an_event_has_its_name_and_an_end_says_what_it_ends() -> None:
    assert describe(COMPANION, event(40)) == {"event": "terminal cover removed", "severity": "alarm"}
    end = {"event": "terminal cover closed", "severity": "info", "restores": "terminal cover removed"}
    assert describe(COMPANION, event(41)) == end
    since = replace(event(41), values=(41, 60), columns=(*CODE, SINCE))
    assert describe(COMPANION, since) == end | {"since": iso(60)}
    unknown = {"event": None, "severity": None}
    assert [describe(COMPANION, event(code)) for code in (12345, "text", None)] == [unknown] * 3
    assert describe(COMPANION, event(40, stream="event.other")) == unknown


def test_an_alarm_is_called_by_its_gravest_new_bit() -> None:
    assert describe(COMPANION, alarm(1 << 13 | 1 | 1 << 20, 1 << 4)) == {
        "event": "fraud attempt",
        "severity": "alarm",
        "rose": ["clock invalid", "fraud attempt", "bit 20"],
        "fell": ["configuration changed"],
    }
    assert describe(COMPANION, alarm(0, 1)) == {
        "event": None,
        "severity": "info",
        "rose": [],
        "fell": ["clock invalid"],
    }
    indian = load_profile("is15959-1p")
    assert describe(indian, alarm("0" * 83 + "1", "0" * 84))["event"] == "meter cover removed"
    assert describe(replace(COMPANION, alarms=None), alarm(2, 0))["event"] == "bit 1"


async def test_several_events_of_one_second_are_kept_and_repeats_are_not() -> None:
    captures = [event(40), event(42), event(40), event(40, meter="M2"), event(40, at=101), capture(5), capture(5)]
    found = await sieve().sift(captures)
    assert found == [event(40), event(42), event(40, meter="M2"), event(40, at=101), capture(5), capture(5)]


async def test_an_end_gets_its_beginning_from_what_came_with_it_or_from_the_store() -> None:
    store = MemoryStore()
    store.captures = [event(40, at=10), event(41, at=20), event(40, at=30), event(44, at=35), event(40, at=40)]
    found = await sieve(store).sift([event(42, at=50), event(43, at=60), event(41, at=70), event(45, at=80)])
    assert [each.values for each in found] == [(42,), (43, 50), (41, 30), (45, 35)]
    assert [each.columns[-1] == SINCE for each in found] == [False, True, True, True]


async def test_an_end_whose_beginning_nobody_knows_stands_for_itself() -> None:
    store = MemoryStore()
    store.captures = [event(40, at=10), event(41, at=20), event(40, at=90), event(40, at=15, meter="M2")]
    assert await sieve(store).sift([event(41, at=70)]) == [event(41, at=70)]


async def test_an_alarm_word_is_news_when_its_bits_change() -> None:
    some = sieve()

    async def read(word: Value, *, kept: bool = True) -> list[tuple[Value, ...]]:
        found = await some.sift([alarm(word)])
        if kept:
            assert some.kept(found) == bool(found)
        return [each.values for each in found]

    assert await read(0) == []
    assert await read(5, kept=False) == [(5, 0)]
    assert await read(5) == [(5, 0)], "what was not kept is still news"
    assert await read(5) == []
    assert await read(None) == []
    assert await read(1) == [(1, 5)]
    assert await read(0) == [(0, 1)]


async def test_after_a_restart_the_last_word_is_known() -> None:
    store = MemoryStore()
    store.captures = [alarm(5, 0, at=10), alarm(4, 5, at=20)]
    assert await sieve(store).sift([alarm(4)]) == []
    (found,) = await sieve(store).sift([alarm(0)])
    assert found.values == (0, 4)
    (word,) = await sieve().sift([alarm("010")])
    assert word.values == ("010", "000")


def test_an_alarm_is_followed_to_the_logs_at_once() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=1, buses=1, hls=0, seed=4))
        (meter,) = box.meters
        fraud = next(log for log in meter.model.logs if log.name == COMPANION.streams[FRAUD].name)
        began = next(at for at, _ in fraud.between(4, meter.id, int(ORIGIN) + 600, int(ORIGIN) + 30 * 86_400))
        await asyncio.sleep(began - 90.0 - clock.now())
        poll = box.poll(Task(ALARM, every=60.0), Task(FRAUD, every=86_400.0, backfill=3600.0))
        await settle(poll)
        assert box.store.captures == []
        while not box.store.captures:
            await poll.step()
        await settle(poll)
        assert clock.now() < began + 75
        found = {each.stream: each for each in box.store.captures}
        assert found[ALARM].values == (1 << FRAUD_ALARM, 0)
        assert (found[FRAUD].at, describe(COMPANION, found[FRAUD])["severity"]) == (began, "alarm")

    virtually(work)
