"""Octets of a database file, found by what they are, and flipped; for the tests of damage."""

import sqlite3
from contextlib import closing
from pathlib import Path

from dcu.store.schema import PAGE_SIZE

#: Types of b-tree pages (SQLite file format, 1.6).
INTERIOR, LEAF = (2, 5), (10, 13)


def pages(path: Path, types: tuple[int, ...]) -> list[int]:
    """Return the offsets of the b-tree pages of these types, but for the first page."""
    content = path.read_bytes()
    return [at for at in range(PAGE_SIZE, len(content), PAGE_SIZE) if content[at] in types]


def flip(path: Path, offset: int, mask: int = 0xFF) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)


def leaves_of(path: Path, name: str) -> list[int]:
    """Return the offsets of the leaves of a table or an index, in their order."""
    with closing(sqlite3.connect(path)) as database:
        [(root,)] = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
    content, begin = path.read_bytes(), (root - 1) * PAGE_SIZE
    assert content[begin] in INTERIOR
    cells = [int.from_bytes(content[begin + 12 + 2 * cell :][:2]) for cell in range(content[begin + 4])]
    children = [content[begin + cell :][:4] for cell in cells] + [content[begin + 8 :][:4]]
    return [(int.from_bytes(child) - 1) * PAGE_SIZE for child in children]
