"""Lines of the archive as people keep them, CSV and YAML, to and from a table of words whose meaning is not known here.

A fault is told as FILE:LINE: what was expected.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from dcu.cli.foreign import cell, from_cell
from dcu.errors import ConfigError
from dcu.forms.node import compose
from dcu.forms.shape import is_empty
from dcu.forms.tree import Listing, Node, Scalar, Section

FORMATS = ("csv", "yaml")

#: Words that need no quotes in YAML, and those that would be taken for something else by other readers.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SPECIAL = {"null", "true", "false", "yes", "no", "on", "off"}


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows of words under `columns`, and the line of the file that each stands on; `faults` of lines that are none."""

    columns: list[str]
    rows: list[list[str]]
    numbers: list[int]
    faults: list[str] = field(default_factory=list)


def format_of(path: str) -> str:
    """Return the format that a file's name stands for. Raises ConfigError for any other."""
    suffix = PurePath(path).suffix.lower().replace(".yml", ".yaml").removeprefix(".")
    if suffix not in FORMATS:
        raise ConfigError(f"{path}: expected a name that ends in .csv or .yaml")
    return suffix


def parse_lines(text: str, path: str) -> Lines:
    """Return the lines in `text`, in the format that `path` stands for. Raises ConfigError when it is no such file."""
    return _from_yaml(text, path) if format_of(path) == "yaml" else _from_csv(text, path)


def _from_csv(text: str, path: str) -> Lines:
    text = text.removeprefix("\ufeff")
    head = text.split("\n", 1)[0]
    # spreadsheets of half the world put semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",")
    try:
        cells = [(reader.line_num, [from_cell(word.strip()) for word in row]) for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: not CSV: {error}") from error
    filled = [(number, row) for number, row in cells if any(row)]
    if not filled:
        raise ConfigError(f"{path}:1: expected a line with the names of the columns")
    (_, columns), *rows = filled
    faults = [
        f"{path}:{number}: expected {len(columns)} cells, got {len(row)}"
        for number, row in rows
        if len(row) != len(columns)
    ]
    whole = [(number, row) for number, row in rows if len(row) == len(columns)]
    return Lines(columns, [row for _, row in whole], [number for number, _ in whole], faults)


def _from_yaml(text: str, path: str) -> Lines:
    faults: list[str] = []
    entries = list(_entries(compose(text, path), path, faults))
    columns = list(dict.fromkeys(key for _, entry in entries for key in entry))
    rows = [[entry.get(column, "") for column in columns] for _, entry in entries]
    return Lines(columns, rows, [number for number, _ in entries], faults)


def _entries(root: Node | None, path: str, faults: list[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the entries of a list, or of the list `meters` in a section, each with its line; `faults` gets the rest."""
    if isinstance(root, Section):
        root = next((value for key, value in root.entries if key.text == "meters"), None)
    if not isinstance(root, Listing):
        raise ConfigError(f"{path}:1: expected a list of meters, or 'meters:' with one")
    for item in root.items:
        try:
            yield item.line, dict(_words(item, path))
        except ConfigError as error:
            faults += error.problems


def _words(entry: Node, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, Section):
        raise ConfigError(f"{path}:{entry.line}: expected a section (key: value)")
    seen: set[str] = set()
    for key, value in entry.entries:
        if not isinstance(value, Scalar):
            raise ConfigError(f"{path}:{key.line}: {key.text}: expected a word")
        if key.text in seen:
            raise ConfigError(f"{path}:{key.line}: {key.text}: given twice")
        seen.add(key.text)
        yield key.text, "" if is_empty(value) else value.text


def write_lines(columns: Sequence[str], rows: Iterable[Sequence[str]], form: str) -> str:
    """Return the table as text of `form` (one of FORMATS)."""
    if form == "yaml":
        return "meters:\n" + "".join(f"  - {{{', '.join(_pairs(columns, row))}}}\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(cell, row) for row in rows)
    return out.getvalue()


def _pairs(columns: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    for column, word in zip(columns, row, strict=True):
        if word:
            plain = _PLAIN.fullmatch(word) and word.lower() not in _SPECIAL
            yield f"{column}: {word if plain else json.dumps(word)}"
