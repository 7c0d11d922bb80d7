"""docs/block-format.md: its vectors are what the code writes, and two readers that share nothing agree on them."""

import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from dcu.messages import block
from dcu.messages.envelope import BLOCK
from dcu_headend import block as library
from dcu_headend import decode
from tests.unit.messages.block_vectors import VECTORS, body, payload
from tests.unit.messages.reference_block import read

PAGE = (Path(__file__).parents[3] / "docs" / "block-format.md").read_text(encoding="utf-8")
DOCUMENTED = {
    name.lower(): (bytes.fromhex(octets), json.loads(said))
    for name, octets, said in re.findall(
        r"^### ([^\n]+)\n```\n([0-9a-f\n]+)```\n```json\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL
    )
}


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return "inf" if value == float("inf") else value


def test_every_vector_is_documented() -> None:
    assert list(DOCUMENTED) == [name.lower() for name in VECTORS]


@pytest.mark.parametrize("name", VECTORS)
def test_the_second_reader_reads_what_stands_there(name: str) -> None:
    octets, said = DOCUMENTED[name.lower()]
    found = read(octets)
    for capture in found["captures"]:
        capture["values"] = list(map(plain, capture["values"]))
    assert found == said


@pytest.mark.parametrize("name", VECTORS)
def test_the_library_reads_the_same(name: str) -> None:
    octets, said = DOCUMENTED[name.lower()]
    head, rows = library.read_block(octets)
    assert head == said["head"]
    keys = ("meter", "set", "at", "status", "read", "offset", "trusted", "more")
    assert [dict(zip(keys, row[:8], strict=True)) | {"values": list(map(plain, row[8]))} for row in rows] == said[
        "captures"
    ]
    decode(octets)


@pytest.mark.parametrize("name", VECTORS)
def test_the_daemon_writes_these_bodies(name: str) -> None:
    """How well LZMA packs one may change with its version; what is packed may not."""
    octets, _ = DOCUMENTED[name.lower()]
    assert body(payload(name)) == body(octets)
    assert payload(name)[:3] == octets[:3]


def test_a_library_for_lzma_files_reads_it_too() -> None:
    octets, _ = DOCUMENTED["one value"]
    prefix = bytes.fromhex(re.findall(r"put `([0-9A-F ]+)` before it", PAGE)[0])
    assert lzma.decompress(prefix + octets[5:], lzma.FORMAT_ALONE) == body(octets)


def test_the_numbers_are_the_code_s() -> None:
    assert (block.MAX_BODY, library.MAX_BODY) == (1_048_576, 1_048_576)
    assert "at most 1 048 576" in PAGE
    assert (library.MAX_ROWS, library.MAX_VALUES) == (10_000, 500_000)
    assert "at most 10 000" in PAGE
    assert "at most 500 000" in PAGE
    assert block.SMALL == 2**61
    assert {"id": lzma.FILTER_LZMA1, "lc": 1, "lp": 0, "pb": 0, "dict_size": 131_072}.items() <= block.FILTERS[
        0
    ].items()
    shared = ("MARK", "VERSION", "STORED", "COMPRESSED", "MAX_SCALE", "MAX_DIGITS", "MAX_COUNTED")
    assert [getattr(block, name) for name in shared] == [getattr(library, name) for name in shared]
    kinds = [getattr(library, kind.name) for kind in block.Kind]
    assert kinds == list(block.Kind)
    assert BLOCK in PAGE
