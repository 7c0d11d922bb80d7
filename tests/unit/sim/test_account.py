"""The verdict of a show must be able to fail: each kind of mistake is put in, and must be found and nothing else."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dcu.messages.envelope import Envelopes
from dcu.model import Capture, Column
from dcu.obis import parse_obis
from dcu.store import Store
from sim.account import Due, Line, draw_up
from sim.headend import Tally
from sim.meter import SimMeter
from sim.profiles import LOAD_0
from sim.truth import expected_times, expected_values
from tests.captures import SetClock
from tests.unit.sim.conversation import meter

START = 1_790_001_000
END = START + 3600
EVERY = 300
DAY = 86_400

LOAD = Due("load0", START, END, LOAD_0)
NOW = Due("instant", START, END, every=EVERY)
FRAUD = parse_obis("0-0:99.98.1.255")
EVENTS = Due("event.fraud", START - 60 * DAY, END, FRAUD)

METERS = (meter(), meter(id="M0002", address=18, phases=3))

#: Changes what the meters held on its way.
Mistake = Callable[[list[Capture]], list[Capture]]


def columns_of(each: SimMeter, names: Iterable[bytes], classes: Iterable[int]) -> tuple[Column, ...]:
    columns = []
    for name, class_id in zip(names, classes, strict=True):
        register = each.registers.get(name)
        columns.append(
            Column(class_id, name, scaler=register.scaler, unit=register.unit) if register else Column(class_id, name)
        )
    return tuple(columns)


def truth(due: Due) -> list[Capture]:
    """Return every capture that is due, as the meters held it."""
    captures = []
    for each in METERS:
        if due.profile is None:
            columns = columns_of(each, each.registers, [3] * len(each.registers))
            times: Sequence[int] = range(-(-due.start // EVERY) * EVERY, due.end, EVERY)
        else:
            held = each.profiles[due.profile].columns
            columns = columns_of(each, (c.name for c in held), (c.class_id for c in held))
            times = expected_times(each, due.profile, due.start, due.end)
        captures += [
            Capture(
                each.id, due.stream, at, 0, expected_values(each, columns, at), columns, at + 1.0, 0.0, trusted=True
            )
            for at in times
        ]
    return captures


async def stored(path: Path, captures: Sequence[Capture]) -> None:
    async with Store.open(path, SetClock()) as store:
        await store.readings.record(captures, {})


def account(directory: Path, due: Due, mistake: Mistake = list, kept: Mistake | None = None) -> Line:
    """Return the account of a show in which what was due was delivered after `mistake`, and stored after `kept`."""
    arrived = mistake(truth(due))
    asyncio.run(stored(directory / "store.db", kept(truth(due)) if kept else arrived))
    (line,) = draw_up(METERS, [due], tally(due, arrived), directory / "store.db")
    return line


def tally(due: Due, captures: Sequence[Capture], found: Tally | None = None, seq: int = 1) -> Tally:
    found = found or Tally()
    for payload in Envelopes("D", "b").block(due.stream, seq, captures, 1_000_000):
        found.take("event" if due.stream.startswith("event") else f"data/{due.stream}", payload)
    return found


@pytest.mark.parametrize("due", [LOAD, NOW, EVENTS], ids=["profile", "registers", "events"])
def test_the_truth_is_even(tmp_path: Path, due: Due) -> None:
    line = account(tmp_path, due)
    count = len(truth(due))
    assert count > 3
    assert (line.stored, line.delivered, line.wrong, line.missing) == (count, count, 0, 0)
    assert line.expected == count
    assert line.good


def changed(**changes: object) -> Mistake:
    """Change the second capture."""

    def mistake(captures: list[Capture]) -> list[Capture]:
        captures[1] = replace(captures[1], **changes)  # type: ignore[arg-type]
        return captures

    return mistake


def off_by_one(captures: list[Capture]) -> list[Capture]:
    *values, last = captures[1].values
    assert isinstance(last, int)
    captures[1] = replace(captures[1], values=(*values, last + 1))
    return captures


def null(captures: list[Capture]) -> list[Capture]:
    captures[1] = replace(captures[1], values=(*captures[1].values[:-1], None))
    return captures


def swapped(captures: list[Capture]) -> list[Capture]:
    """The second row of one meter goes out under the other's name."""
    captures[1] = replace(captures[1], values=captures[-1].values)
    return captures


def scaled(captures: list[Capture]) -> list[Capture]:
    columns = (*captures[1].columns[:-1], replace(captures[1].columns[-1], scaler=1))
    captures[1] = replace(captures[1], columns=columns)
    return captures


def in_other_units(captures: list[Capture]) -> list[Capture]:
    columns = (*captures[1].columns[:-1], replace(captures[1].columns[-1], unit=31))
    captures[1] = replace(captures[1], columns=columns)
    return captures


def of_another_object(captures: list[Capture]) -> list[Capture]:
    columns = (*captures[1].columns[:-1], Column(3, parse_obis("1-0:99.8.0.255")))
    captures[1] = replace(captures[1], columns=columns)
    return captures


@pytest.mark.parametrize("due", [LOAD, NOW], ids=["profile", "registers"])
@pytest.mark.parametrize("mistake", [off_by_one, null, swapped, scaled, in_other_units, of_another_object])
def test_a_wrong_value_is_counted(tmp_path: Path, due: Due, mistake: Mistake) -> None:
    line = account(tmp_path, due, mistake)
    assert (line.wrong, line.missing) == (1, 0)
    assert not line.good


def test_a_row_of_a_second_at_which_nothing_was_captured_is_wrong(tmp_path: Path) -> None:
    line = account(tmp_path, LOAD, changed(at=START + 1))
    assert (line.wrong, line.missing) == (1, 1)
    assert not line.good


def without(index: int) -> Mistake:
    return lambda captures: captures[:index] + captures[index + 1 :]


@pytest.mark.parametrize("due", [LOAD, NOW, EVENTS], ids=["profile", "registers", "events"])
@pytest.mark.parametrize("index", [1, 2])
def test_a_missing_row_is_counted(tmp_path: Path, due: Due, index: int) -> None:
    line = account(tmp_path, due, without(index))
    assert (line.wrong, line.missing) == (0, 1)
    assert not line.good


def test_a_row_that_was_kept_and_never_came_is_seen(tmp_path: Path) -> None:
    extra = truth(replace(LOAD, start=START - 900, end=START - 1))
    assert extra
    line = account(tmp_path, LOAD, kept=lambda captures: captures + extra)
    assert (line.wrong, line.missing) == (0, 0)
    assert not line.good


def drawn(directory: Path, found: Tally, captures: Sequence[Capture]) -> Line:
    asyncio.run(stored(directory / "store.db", captures))
    (line,) = draw_up(METERS, [LOAD], found, directory / "store.db")
    return line


def test_a_repeat_that_says_the_same_is_no_mistake(tmp_path: Path) -> None:
    found = tally(LOAD, truth(LOAD))
    tally(LOAD, truth(LOAD), found)
    assert found.duplicates == 1
    assert drawn(tmp_path, found, truth(LOAD)).good


def test_a_repeat_that_says_something_else_is_counted(tmp_path: Path) -> None:
    found = tally(LOAD, truth(LOAD))
    tally(LOAD, off_by_one(truth(LOAD)), found)
    line = drawn(tmp_path, found, truth(LOAD))
    assert (line.wrong, line.missing) == (1, 0)
    assert not line.good


def test_one_row_that_comes_again_with_another_value_is_counted(tmp_path: Path) -> None:
    found = tally(LOAD, truth(LOAD))
    tally(LOAD, off_by_one(truth(LOAD))[1:2], found, seq=2)
    assert drawn(tmp_path, found, truth(LOAD)).wrong == 1


@pytest.mark.parametrize("due", [LOAD, EVENTS], ids=["profile", "events"])
def test_what_was_sent_twice_under_two_numbers_is_counted(tmp_path: Path, due: Due) -> None:
    found = tally(due, truth(due))
    tally(due, truth(due)[1:3], found, seq=2)
    asyncio.run(stored(tmp_path / "store.db", truth(due)))
    (line,) = draw_up(METERS, [due], found, tmp_path / "store.db")
    assert line.wrong == 2
    assert not line.good


def test_what_the_box_says_it_could_not_send_is_counted(tmp_path: Path) -> None:
    found = tally(LOAD, truth(LOAD))
    found.dropped.append({"meter": "M0001"})
    assert drawn(tmp_path, found, truth(LOAD)).wrong == 1


def test_what_the_meters_gave_out_is_told(tmp_path: Path) -> None:
    METERS[0].given[LOAD_0] += 12
    try:
        assert account(tmp_path, LOAD).read == 12
    finally:
        del METERS[0].given[LOAD_0]


@pytest.mark.parametrize(("offset", "expected"), [(100.0, 24), (0.0, 22)])
def test_a_moment_belongs_to_the_round_of_our_clock_not_of_the_meters(
    tmp_path: Path, offset: float, expected: int
) -> None:
    """Read 10 s before the end of each round from meters that are 100 s ahead, and once as if they were not."""

    def ahead(captures: list[Capture]) -> list[Capture]:
        return [held_at(each, each.at + EVERY - 10 + 100, offset) for each in captures]

    line = account(tmp_path, NOW, ahead)
    assert (line.wrong, line.missing, line.expected) == (0, 0, expected)


def test_the_first_sweep_takes_as_long_as_it_takes(tmp_path: Path) -> None:
    """The last meter is read when two rounds are over: the first ones need not have been read in both by then."""

    def slowly(captures: list[Capture]) -> list[Capture]:
        began = START + 2 * EVERY
        return [each for each in captures if each.at >= began or (each.meter, each.at) == (METERS[0].id, START)]

    line = account(tmp_path, NOW, slowly)
    assert (line.expected, line.missing) == (2 * (1 + 9), 0)


def test_a_meter_that_was_never_read_misses_the_first_sweep_and_every_round(tmp_path: Path) -> None:
    line = account(tmp_path, NOW, lambda captures: [each for each in captures if each.meter == METERS[0].id])
    assert (line.expected, line.missing) == (2 * 12, 12)


def held_at(capture: Capture, at: int, offset: float) -> Capture:
    each = next(each for each in METERS if each.id == capture.meter)
    return replace(capture, at=at, values=expected_values(each, capture.columns, at), offset=offset)


def test_the_store_is_looked_at_and_never_made(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open"):
        draw_up(METERS, [LOAD], Tally(), tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
