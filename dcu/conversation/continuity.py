"""Whether new rows can follow those that are known: energies only grow.

What contradicts that is no proof of anything; it is a reason to ask the meter who it is before a row is kept.
"""

from collections.abc import Iterable
from itertools import pairwise

from dcu.model import Capture, Column
from dcu.obis import format_obis

#: Electricity, and the time integral that is never reset (IEC 62056-6-1, value groups A and D).
_ELECTRICITY, _SINCE_EVER = 1, 8

#: A register's value (Blue Book, class 3, attribute 2).
_REGISTER, _VALUE = 3, 2


def counts_up(column: Column) -> bool:
    """Whether the values of `column` never fall while it is the same register of the same meter."""
    kind = (column.class_id, column.index, column.data_index)
    return kind == (_REGISTER, _VALUE, 0) and (column.name[0], column.name[3]) == (_ELECTRICITY, _SINCE_EVER)


def fallen(known: Capture | None, rows: Iterable[Capture]) -> str | None:
    """Return which register fell between `known` and those of `rows` that are newer, or among these; None: none did.

    All are of one stream. Rows with other columns than the one before them say nothing.
    """
    newer = sorted((row for row in rows if known is None or row.at > known.at), key=lambda row: row.at)
    for before, after in pairwise(newer if known is None else [known, *newer]):
        if before.columns == after.columns and (column := _fallen(before, after)) is not None:
            return format_obis(column.name)
    return None


def _fallen(before: Capture, after: Capture) -> Column | None:
    for column, was, now in zip(before.columns, before.values, after.values, strict=True):
        if type(was) is int and type(now) is int and now < was and counts_up(column):
            return column
    return None
