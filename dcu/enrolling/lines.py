"""Lines of the archive as tables of words: as a command brings them, and as those that stand are compared and shown.

Whether a line is good says `dcu.config.judging`.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from dcu.config.table import Table
from dcu.model import Command, Meter
from dcu.store import line_of

#: What belongs to the place of a meter: another device there has it too, unless it is said anew.
_OF_THE_PLACE: Final = ("logical_device", "group")


def sent(command: Command) -> Table:
    """Return the table that a command brought."""
    args = command.args
    rows, numbers = args["rows"], args.get("lines", [1])
    assert isinstance(rows, list)
    assert isinstance(numbers, list)
    columns = tuple(listed(args["columns"]))
    return Table(str(args.get("file", command.name)), columns, tuple(map(tuple, rows)), tuple(numbers))


def table_of(meters: Sequence[Meter], columns: tuple[str, ...] | None = None) -> Table:
    """Return lines as a table of words under `columns`; None: every column that any of them needs."""
    lines = [line_of(meter) for meter in meters]
    columns = columns or tuple(dict.fromkeys(chain.from_iterable(lines)))
    rows = tuple(tuple(str(line.get(column, "")) for column in columns) for line in lines)
    return Table("archive", columns, rows, tuple(range(1, len(rows) + 1)))


def words(table: Table, at: int = 0) -> frozenset[tuple[str, str]]:
    """Return what a row of `table` says, however its columns stand."""
    return frozenset((column, word) for column, word in zip(table.columns, table.rows[at], strict=True) if word)


def in_place_of(old: Meter, table: Table) -> Table:
    """Return the line in `table` with what belongs to the place of `old`, unless it has a column for it."""
    kept = {key: str(getattr(old, key)) for key in _OF_THE_PLACE if key not in table.columns}
    return Table(table.file, (*table.columns, *kept), ((*table.rows[0], *kept.values()),), table.numbers)


def listed(value: object) -> list[str]:
    """Return the words of a list that was checked already."""
    assert isinstance(value, list)
    return [str(each) for each in value]
