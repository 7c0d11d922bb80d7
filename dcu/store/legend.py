"""What the numbers of a damaged file stand for, as its tables say it and their indexes, which hold the same once more.

A name that is believed wrongly puts captures under another meter. How the rows are brought over is in `wreck`.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple, Self

from dcu.store.cells import GARBLED, columns_from
from dcu.store.numbers import position_of
from dcu.store.segments import Run, Segment

#: What is raised over damage: SQLite's word for it may itself quote what is no text.
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)

#: Numbers are given one after the other: one beyond is damage.
NUMBER_BOUND: Final = 1 << 32

#: A number and the text it stands for.
_Pair = tuple[int, str]


class Known(NamedTuple):
    """The numbers of a damaged file that are known: meters, layouts that are columns of captures, streams."""

    meters: frozenset[int] = frozenset()
    layouts: frozenset[int] = frozenset()
    streams: frozenset[int] = frozenset()

    @classmethod
    def of(cls, numbers: Sequence[Sequence[int]]) -> Self:
        return cls(*map(frozenset, numbers))

    def parts(self, row: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield a row of the table of segments as it may be brought over: in parts around runs of unknown numbers.

        Nothing of one that is damaged.
        """
        place, rows, *times, octets, content = row
        try:
            segment = Segment.unpacked(position_of(place), octets, content)
        except GARBLED:
            return
        if sum(len(run.at) for run in segment.runs) != rows or not all(isinstance(time, int) for time in times):
            return
        if all(map(self._has, segment.runs)):
            yield tuple(row)
            return
        for known, runs in groupby(segment.placed(), key=lambda placed: self._has(placed[1])):
            if known:
                first, *_ = part = list(runs)
                whole = Segment(first[0], tuple(run for _, run in part))
                yield place - position_of(place) + whole.first, *whole.row

    def _has(self, run: Run) -> bool:
        return run.meter in self.meters and run.layout in self.layouts


NOTHING_KNOWN: Final = Known()


@dataclass(frozen=True, slots=True)
class Legend:
    """By number the names of meters, the JSON of layouts and the names of streams of a damaged file."""

    meters: Mapping[int, str]
    layouts: Mapping[int, str]
    streams: Mapping[int, str]

    @classmethod
    def read(cls, wreck: sqlite3.Connection, told: Collection[str]) -> Self:
        """Return what can be believed; `told` are the names of streams that the spare has."""
        meters = believed(*_said(wreck, "meters"))
        # a text that is no JSON any more speaks against nothing
        table, index = ({pair for pair in said if _read_by(json.loads, pair[1])} for said in _said(wreck, "layouts"))
        layouts = believed(table, index)
        streams = believed(*_said(wreck, "streams"), told)
        return cls(meters, layouts, streams)

    @property
    def numbers(self) -> Mapping[str, Collection[int]]:
        """The numbers that are known, by the name that a column of them has."""
        return {"meter": self.meters, "layout": self.layouts, "stream": self.streams}

    @property
    def known(self) -> Known:
        columns = (number for number, text in self.layouts.items() if _read_by(columns_from, text))
        return Known(frozenset(self.meters), frozenset(columns), frozenset(self.streams))


def believed(table: set[_Pair], index: set[_Pair], told: Collection[str] = ()) -> dict[int, str]:
    """Return what both say, and what one says and nothing contradicts; with `told` that only of these texts."""
    both = table & index
    said = both | {pair for pair in table | index if not told or pair[1] in told}
    numbers, texts = (Counter(pair[side] for pair in said) for side in (0, 1))
    return {number: text for number, text in said if (number, text) in both or numbers[number] == texts[text] == 1}


def columns_of(wreck: sqlite3.Connection, table: str) -> list[str]:
    """Return the names of a table's columns as a damaged schema has them, quoted. Raises what is in UNREADABLE."""
    named = wreck.execute(f"PRAGMA table_info({table})").fetchall()
    return ['"{}"'.format(name.replace('"', '""')) for _, name, *_ in named]


def _said(wreck: sqlite3.Connection, table: str) -> tuple[set[_Pair], set[_Pair]]:
    """Return what the table says and what its index says, each from both ends up to the damage."""
    try:
        _, text, *_ = columns_of(wreck, table)
    except (*UNREADABLE, ValueError):
        return set(), set()
    select, index = f"SELECT rowid, {text} FROM {table}", f"INDEXED BY sqlite_autoindex_{table}_1"  # noqa: S608 - a table of ours
    return (
        {pair for end in ("", " DESC") for pair in _pairs(wreck, f"{select} NOT INDEXED ORDER BY rowid{end}")},
        {pair for end in ("", " DESC") for pair in _pairs(wreck, f"{select} {index} ORDER BY {text}{end}")},
    )


def _pairs(wreck: sqlite3.Connection, select: str) -> Iterator[_Pair]:
    try:
        for number, text in wreck.execute(select):
            # what is no text comes with U+FFFD in its place
            if isinstance(number, int) and isinstance(text, str) and "\ufffd" not in text and 0 < number < NUMBER_BOUND:
                yield number, text
    except UNREADABLE:
        return


def _read_by(reader: Callable[[str], object], text: str) -> bool:
    """Whether a text is one that `reader` can read."""
    try:
        reader(text)
    except GARBLED:
        return False
    return True
