"""A second reader of compact blocks, written from docs/block-format.md alone; no bounds, no errors worth the name.

It shares nothing with `dcu_headend`: where the two disagree, one of them or the document is wrong.
"""

import json
import lzma
import struct
from typing import Any

_LZMA = [{"id": lzma.FILTER_LZMA1, "dict_size": 131_072, "lc": 1, "lp": 0, "pb": 0}]


class Reader:
    def __init__(self, octets: bytes) -> None:
        self.rest = octets

    def octets(self, count: int) -> bytes:
        taken, self.rest = self.rest[:count], self.rest[count:]
        assert len(taken) == count
        return taken

    def unsigned(self) -> int:
        (group,) = self.octets(1)
        return group if group < 128 else group - 128 + 128 * self.unsigned()

    def signed(self) -> int:
        number = self.unsigned()
        return -((number + 1) // 2) if number % 2 else number // 2


def read(block: bytes) -> dict[str, Any]:
    """Return {"head": …, "captures": [{…}]}."""
    assert block[:2] == b"\xdc\x01"
    outer = Reader(block[3:])
    size = outer.unsigned()
    body = outer.rest if block[2] == 0 else lzma.decompress(outer.rest, lzma.FORMAT_RAW, filters=_LZMA)
    assert len(body) == size
    inner = Reader(body)
    head = json.loads(inner.octets(inner.unsigned()))
    count = inner.unsigned()
    meters = column(inner, [None] * count)
    names = ("set", "at", "status", "read", "offset", "trusted", "more")
    captures: list[dict[str, Any]] = [{"meter": meter} for meter in meters]
    for name in names:
        for capture, value in zip(captures, column(inner, meters), strict=True):
            capture[name] = value
    for number, columns in enumerate(head["columns"]):
        rows = [capture for capture in captures if capture["set"] == number]
        for row in rows:
            row["values"] = []
        for _ in columns if rows else []:
            for row, value in zip(rows, column(inner, [row["meter"] for row in rows]), strict=True):
                row["values"].append(value)
    assert inner.rest == b""
    return {"head": head, "captures": captures}


def column(reader: Reader, meters: list[Any]) -> list[Any]:
    (kind,) = reader.octets(1)
    kinds = list(reader.octets(len(meters))) if kind == 9 else [kind] * len(meters)
    found: dict[int, Any] = {}
    for each in sorted(set(kinds)) or ([kind] if not meters else []):
        places = [place for place, own in enumerate(kinds) if own == each]
        found |= dict(zip(places, payload(reader, each, [meters[place] for place in places]), strict=True))
    return [found[place] for place in range(len(meters))]


def payload(reader: Reader, kind: int, meters: list[Any]) -> list[Any]:
    count = len(meters)
    if kind in {0, 1, 2}:
        return [(None, False, True)[kind]] * count
    if kind == 3:
        return integers(reader, meters)
    if kind == 4:
        return [int.from_bytes(reader.octets(reader.unsigned()), "big", signed=True) for _ in meters]
    if kind == 5:
        (scale,) = reader.octets(1)
        return [number / 10**scale for number in integers(reader, meters)]
    if kind == 6:
        return list(struct.unpack(f">{count}d", reader.octets(8 * count)))
    entries = words(reader)
    found = [entries[place] for place in integers(reader, meters)]
    return [word.decode("utf-8", "surrogatepass") for word in found] if kind == 7 else found


def integers(reader: Reader, meters: list[Any]) -> list[int]:
    (form,) = reader.octets(1)
    values: list[int] = []
    for place, meter in enumerate(meters):
        own = [values[earlier] for earlier in range(place) if meters[earlier] == meter]
        above = values[-1] if values else 0
        expected = {
            0: 0,
            1: above,
            2: own[-1] if own else above,
            3: 2 * own[-1] - own[-2] if len(own) > 1 else own[-1] if own else above,
        }[form]
        values.append(expected + reader.signed())
    return values


def words(reader: Reader) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(reader.unsigned()):
        head = reader.unsigned()
        if head % 2 == 0:
            found.append(reader.octets(head // 2))
            continue
        difference = -((head // 2 + 1) // 2) if head // 2 % 2 else head // 2 // 2
        before = found[-1]
        digits = 0
        while digits < min(15, len(before)) and before[-1 - digits] in b"0123456789":
            digits += 1
        number = int(before[len(before) - digits :]) + difference
        found.append(before[: len(before) - digits] + str(number).zfill(digits).encode())
    return found
