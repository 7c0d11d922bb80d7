"""How captures lie in the database: those of one stream in one commit as one compressed row, a segment.

A segment is read without any other. Which of a meter's runs follow which, day by day (UTC, by the time of the
captures), is the business of `chains`; no SQL is here.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Final, NamedTuple, Self

from dcu.clock import DAY
from dcu.model import Capture, Column, Value
from dcu.store.cells import cells_json, from_json

#: Captures of one segment at most: what has to be unpacked to see one of them, about a millisecond's work.
SEGMENT_ROWS: Final = 256

#: With Z_FILTERED: short numbers repeat less than words do, and so a segment is 6 % shorter (docs/decisions/0008).
LEVEL: Final = 9

#: Longest text of a segment that is unpacked; a damaged length must not take the memory.
TEXT_BOUND: Final = 64 << 20

#: Octets and content of a segment that has no runs any more.
NOTHING: Final = (2, zlib.compress(b"[]"))


class Run(NamedTuple):
    """Captures of one meter that came with one answer, in the order of their positions; as in the JSON of a segment.

    `meter` and `layout` are numbers; `back` is how far the meter's run of the same day before this one is, from first
    position to first position (0: there is none). `at` and each of `columns` that holds nothing but integers are a
    first number and then differences. `status` is one number where all are equal.
    """

    meter: int
    layout: int
    back: int
    read_at: float
    offset: float | None
    trusted: int
    status: int | list[int]
    at: list[int]
    columns: list[list[Any]]

    @classmethod
    def of(cls, meter: int, layout: int, back: int, captures: Sequence[Capture]) -> Self:
        """Return the run of `captures`, which agree in columns, time of reading, offset and trust."""
        first = captures[0]
        statuses = [capture.status for capture in captures]
        columns = zip(*(capture.values for capture in captures), strict=True)
        return cls(
            meter,
            layout,
            back,
            round(first.read_at, 3),
            None if first.offset is None else round(first.offset, 3),
            int(first.trusted),
            statuses[0] if len(set(statuses)) == 1 else statuses,
            _differences([capture.at for capture in captures]),
            [_packed(column) for column in columns],
        )

    @property
    def times(self) -> list[int]:
        return list(accumulate(self.at))

    def captures(self, meter: str, stream: str, columns: tuple[Column, ...]) -> Iterator[Capture]:
        """Yield the captures, with the names that the numbers stand for."""
        status = self.status if isinstance(self.status, list) else [self.status] * len(self.at)
        rows: Iterable[tuple[Value, ...]] = zip(*map(_unpacked, self.columns), strict=True)
        provenance = (self.read_at, self.offset, bool(self.trusted))
        for at, state, values in zip(self.times, status, rows if self.columns else [()] * len(self.at), strict=True):
            yield Capture(meter, stream, at, state, values, columns, *provenance)


@dataclass(frozen=True, slots=True)
class Segment:
    """Runs at adjacent positions of a stream, the first of them `first`."""

    first: int
    runs: tuple[Run, ...]

    @classmethod
    def unpacked(cls, first: int, octets: int, content: bytes | str) -> Self:
        """Return the segment that was packed into `content`. Raises ValueError when it is damaged."""
        if not isinstance(content, bytes):
            raise ValueError("a segment is damaged: it is text")  # noqa: TRY004 - of the file, not of the caller
        text = content if len(content) == octets else _inflated(content)
        return cls(first, tuple(Run(*run) for run in from_json(text.decode())))

    @property
    def row(self) -> tuple[int, int, int, int, int, bytes]:
        """What the table holds besides the place: rows, when read, oldest and newest time, octets unpacked, content.

        The content is always packed, though a short one grows: zlib brings the checksum that finds a bad octet.
        """
        text = cells_json(self.runs).encode()
        times = list(chain.from_iterable(run.times for run in self.runs))
        read = max(int(run.read_at) for run in self.runs)
        packing = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
        content = packing.compress(text) + packing.flush()
        if len(content) == len(text):  # that would say it is no zlib; as a stored block it is longer
            content = zlib.compress(text, 0)
        return len(times), read, min(times), max(times), len(text), content

    def placed(self) -> Iterator[tuple[int, Run]]:
        """Yield each run with the position of its first capture."""
        position = self.first
        for run in self.runs:
            yield position, run
            position += len(run.at)


def alike(captures: Iterable[Capture]) -> Iterator[list[Capture]]:
    """Yield the captures of one stream of one meter in pieces that can be runs: of one day, one answer, one shape."""
    piece: list[Capture] = []
    for capture in captures:
        if piece and (len(piece) >= SEGMENT_ROWS or _key(piece[-1]) != _key(capture)):
            yield piece
            piece = []
        piece.append(capture)
    if piece:
        yield piece


def _key(capture: Capture) -> tuple[object, ...]:
    return capture.at // DAY, capture.columns, capture.read_at, capture.offset, capture.trusted


def _inflated(content: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(content, TEXT_BOUND)
    except zlib.error as error:
        raise ValueError(f"a segment is damaged: {error}") from error
    if not inflating.eof:
        raise ValueError("a segment is damaged: its end is missing")
    return text


def _differences(numbers: Sequence[int]) -> list[int]:
    return [numbers[0], *(after - before for before, after in pairwise(numbers))]


def _packed(column: Sequence[Value]) -> list[Any]:
    # a truth value is an int to Python, and no number
    numbers = [value for value in column if type(value) is int]
    return _differences(numbers) if len(numbers) == len(column) else list(column)


def _unpacked(column: list[Any]) -> list[Value]:
    return list(accumulate(column)) if all(type(value) is int for value in column) else column
