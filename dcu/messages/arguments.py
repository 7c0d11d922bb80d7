"""What arguments of commands have to look like: keys that are known, numbers in range, lines of the archive.

Which command takes which is in `catalogue`; whether a line agrees with the others is `dcu.config.lines`'s business.
"""

import re
from collections.abc import Mapping, Sequence

from dcu.errors import CommandRejected

#: Lines of one table: as many as one DCU serves meters.
MAX_ROWS = 1024

#: Columns of a table, and characters of a cell: what a line of the file may have, and some to spare.
MAX_COLUMNS = 16
MAX_CELL = 64

#: Lines that one answer shows unless it is asked for less: they fit a message of 100 000 octets.
MAX_SHOWN = 256

#: Names of meters, groups and streams, as everybody writes them who speaks with the box.
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

Args = dict[str, object]


def only(args: Mapping[str, object], *known: str) -> None:
    """Raise CommandRejected when `args` has anything else."""
    for name in args:
        if name not in known:
            expected = ", ".join(known) or "no arguments"
            raise CommandRejected(f"args: {name[:32]!a} is unknown, expected {expected}")


def number(value: object, least: int, most: int, where: str) -> int:
    """Return `value`, a whole number from `least` to `most`. Raises CommandRejected naming `where`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise CommandRejected(f"{where}: expected a whole number from {least} to {most}")
    return value


def nothing(args: Mapping[str, object]) -> Args:
    """Return no arguments."""
    only(args)
    return {}


def line(args: Mapping[str, object]) -> Args:
    """Return a line of the archive, a table of one row; what has that form already is taken as it is."""
    if set(args) == {"columns", "rows"}:
        found = table({**args, "rows": _list(args["rows"], "args.rows", 1, 1)})
        return {"columns": found["columns"], "rows": found["rows"]}
    if not args or len(args) > MAX_COLUMNS:
        raise CommandRejected("args: expected the keys of a line: id, bus, address, access, profile")
    row = [_cell(value, f"args.{key[:32]}") for key, value in args.items()]
    return {"columns": [_cell(key, "args") for key in args], "rows": [row]}


def table(args: Mapping[str, object]) -> Args:
    """Return lines of the archive: `rows` of words under `columns`, and where they stood."""
    only(args, "columns", "rows", "lines", "file", "partial")
    columns = _list(args.get("columns"), "args.columns", 1, MAX_COLUMNS)
    names = [_cell(column, "args.columns") for column in columns]
    if len(set(names)) != len(names):
        raise CommandRejected("args.columns: expected each name once")
    rows = [_row(row, at, len(names)) for at, row in enumerate(_list(args.get("rows"), "args.rows", 1, MAX_ROWS))]
    default = range(1, len(rows) + 1)
    lines = _list(args.get("lines", list(default)), "args.lines", len(rows), len(rows))
    return {
        "columns": names,
        "rows": rows,
        "lines": [number(each, 1, 1_000_000, "args.lines") for each in lines],
        "file": _cell(args.get("file", "row"), "args.file"),
        "partial": boolean(args, "partial"),
    }


def _row(row: object, at: int, width: int) -> list[str]:
    cells = _list(row, f"args.rows[{at}]", width, width)
    return [_cell(cell, f"args.rows[{at}]") for cell in cells]


def _cell(value: object, where: str) -> str:
    """Return a word or a number as a word, None as an empty one."""
    if value is None:
        return ""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if text is None or len(text) > MAX_CELL or not text.isprintable():
        raise CommandRejected(f"{where}: expected words of at most {MAX_CELL} characters, and numbers")
    return text


def _list(value: object, where: str, least: int, most: int) -> Sequence[object]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        raise CommandRejected(f"{where}: expected a list of {count}")
    return value


def boolean(args: Mapping[str, object], key: str) -> bool:
    """Return the argument `key`, False when it is left out."""
    value = args.get(key, False)
    if not isinstance(value, bool):
        raise CommandRejected(f"args.{key}: expected true or false")
    return value


def names(args: Mapping[str, object]) -> Args:
    """Return the `ids` of meters."""
    only(args, "ids")
    return {"ids": [_cell(each, "args.ids") for each in _list(args.get("ids"), "args.ids", 1, MAX_ROWS)]}


def part(args: Mapping[str, object]) -> Args:
    """Return which lines of an answer are wanted: `count` of them after the first `from`."""
    only(args, "from", "count")
    return {
        "from": number(args.get("from", 0), 0, MAX_ROWS, "args.from"),
        "count": number(args.get("count", MAX_SHOWN), 1, MAX_SHOWN, "args.count"),
    }


def meters(args: Mapping[str, object]) -> Args:
    """Return which meters of a list are wanted: `count` of them behind the one called `after`, all or those away."""
    only(args, "unreachable", "after", "count")
    return {
        "unreachable": boolean(args, "unreachable"),
        "after": _cell(args.get("after", ""), "args.after"),
        "count": number(args.get("count", MAX_SHOWN), 1, MAX_SHOWN, "args.count"),
    }


def buses(args: Mapping[str, object]) -> Args:
    """Return the names of the `buses` meant; none: all."""
    only(args, "buses")
    return {"buses": [_cell(each, "args.buses") for each in _list(args.get("buses", []), "args.buses", 0, MAX_ROWS)]}
