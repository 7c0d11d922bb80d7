"""The captures of the test vectors in docs/block-format.md, in the daemon's words."""

import lzma
import math

from dcu.messages.block import FILTERS, STORED, varint
from dcu.messages.envelope import Envelopes
from dcu.messages.events import own_values
from dcu.model import DCU_EVENTS, NO_STATUS, Capture, Column

NOON = 1_769_860_800
ENVELOPES = Envelopes("D1", "b0", {}, {30: "Wh"})
ENERGY = Column(3, bytes.fromhex("0100010800ff"), scaler=0, unit=30)
TEXT = Column(1, bytes.fromhex("0000600100ff"))


def row(meter: str, at: int, *values: object) -> Capture:
    columns = (ENERGY, TEXT)[: len(values)]
    return Capture(meter, "load0", at, 0, values, columns, at + 7.25, -0.5, trusted=True)  # type: ignore[arg-type]


def own(name: str, **detail: object) -> Capture:
    return Capture("D1", DCU_EVENTS, NOON, NO_STATUS, own_values(name, detail), (), NOON + 0.0, None, trusted=False)


#: Name → (stream, captures).
VECTORS: dict[str, tuple[str, list[Capture]]] = {
    "one value": ("load0", [row("M0001", NOON, 18_250_431)]),
    "two meters, four rows each": (
        "load0",
        [
            row(f"M000{meter}", NOON - 900 * (3 - quarter), 1000 * meter + 17 * quarter)
            for meter in (8, 9)
            for quarter in range(4)
        ],
    ),
    "every kind": (
        "load0",
        [
            row(f"M{9 + number:04}", NOON, value, octets)
            for number, (value, octets) in enumerate(
                [
                    (None, b""),
                    (False, b"\x0a\x1b"),
                    (True, b"\x0a\x1b"),
                    (-1, b"A099"),
                    (2**64, b"A100"),
                    (0.125, b"B100"),
                    (math.inf, "B100"),
                    ("Zähler", "B099"),
                    (-0.0, "B98"),
                ]
            )
        ],
    ),
    "an event of the DCU": (DCU_EVENTS, [own("meter found", address=17)]),
    "nothing": ("load0", []),
    "nothing, not compressed": ("load0", []),
}


def payload(name: str) -> bytes:
    """Return the block of the vector `name`, written now."""
    stream, captures = VECTORS[name]
    (block,) = ENVELOPES.block(stream, 1_769_860_800_001, captures, 100_000, compact=True)
    return (
        block if "not compressed" not in name else block[:2] + bytes([STORED]) + varint(len(body(block))) + body(block)
    )


def body(block: bytes) -> bytes:
    """Return the body of a block, decompressed."""
    start = next(place for place, octet in enumerate(block[3:], 4) if octet < 0x80)
    if block[2] == STORED:
        return block[start:]
    return lzma.decompress(block[start:], lzma.FORMAT_RAW, filters=[dict(each) for each in FILTERS])
