"""Messages as the daemon writes them, and what is wrong with others."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcu import model
from dcu.messages.block import encode_block
from dcu.messages.envelope import Envelopes
from dcu.messages.events import own_values
from dcu.model import DCU_EVENTS, Capture
from dcu_headend import Block, Column, DecodeError, Dropped, Health, MeterState, Result, State, decode
from tests.outbox import NOON, capture, record

ENVELOPES = Envelopes("D", "b", {"meters": 2}, {30: "Wh"})


@pytest.mark.parametrize("compact", [False, True])
def test_a_block(compact: bool) -> None:
    (payload,) = ENVELOPES.block("load0", 7, [capture(values=(b"\x01",))], 10_000, compact=compact)
    block = decode(payload)
    assert isinstance(block, Block)
    assert (block.dcu, block.boot, block.stream, block.seq, block.part, block.parts) == ("D", "b", "load0", 7, 1, 1)
    (row,) = block.captures
    assert (row.meter, row.at, row.status, row.read, row.offset) == ("M0001", NOON, 0, NOON + 7.25, -0.5)
    assert row.columns == (Column("1-0:1.8.0.255", 3, 2, 0, 30, "Wh"),)
    assert (row.values, row.lost, row.event) == ((b"\x01",), (), None)


@pytest.mark.parametrize("compact", [False, True])
def test_an_event(compact: bool) -> None:
    values = own_values("meter found", {"address": 17})
    event = Capture("D", DCU_EVENTS, NOON, 255, values, (), NOON + 1.0, None, trusted=False)
    (payload,) = ENVELOPES.block(DCU_EVENTS, 7, [event], 10_000, compact=compact)
    block = decode(payload)
    assert isinstance(block, Block)
    (row,) = block.captures
    assert (row.event, row.severity, row.more) == ("meter found", "info", {"detail": {"address": 17}})
    assert (row.values, row.offset, row.trusted) == ((), None, False)


def test_what_was_lost_or_dropped() -> None:
    (payload,) = ENVELOPES.block("load0", 7, [capture(values=(float("nan"),))], 10_000)
    block = decode(payload)
    assert isinstance(block, Block)
    assert (block.captures[0].values, block.captures[0].lost) == ((None,), (0,))
    (payload,) = ENVELOPES.block("load0", 7, [capture(values=("x" * 5000,))], 1000)
    block = decode(payload)
    assert isinstance(block, Block)
    assert block.dropped == Dropped("oversized", "M0001", NOON, NOON, 1)
    block = decode(ENVELOPES.dropped("load0", 8, model.Dropped("storage", NOON - 900, NOON, 7)))
    assert isinstance(block, Block)
    assert block.dropped == Dropped("storage", "", NOON - 900, NOON, 7)


@pytest.mark.parametrize("stream", ["load0", "event.dcu", "result"])
def test_numbers_that_were_leapt_over(stream: str) -> None:
    block = decode(ENVELOPES.dropped(stream, 1000, model.Dropped(model.LEAP, 0, 0, 0, (7, 999))))
    assert isinstance(block, Block)
    assert (block.stream, block.seq, block.captures) == (stream, 1000, ())
    assert block.dropped == Dropped("leap", "", 0, 0, 0, (7, 999))


def test_result_state_and_health() -> None:
    (payload,) = ENVELOPES.block("result", 7, [record(result={"now": 1})], 10_000)
    result = decode(payload)
    assert isinstance(result, Result)
    assert (result.id, result.state, result.final, result.result, result.at) == (
        "c1",
        "done",
        True,
        {"now": 1},
        NOON + 0.5,
    )
    birth = decode(ENVELOPES.birth(NOON, {"load0": 8}, {"load0": 6}, {}, "5"))
    assert isinstance(birth, State)
    assert (birth.state, birth.streams, birth.owed, birth.about["meters"]) == ("online", {"load0": 8}, {"load0": 6}, 2)
    meter = decode(ENVELOPES.meter("M1", model.Standing(model.Reach.DEGRADED, NOON), NOON + 1))
    assert meter == MeterState("D", "b", "M1", "degraded", NOON, None, NOON + 1)
    assert isinstance(decode(ENVELOPES.will(NOON)), State)
    health = decode(ENVELOPES.health(NOON, {"visits": 3}))
    assert isinstance(health, Health)
    assert (health.at, health.figures["visits"]) == (NOON, 3)


GOOD = json.loads(ENVELOPES.block("load0", 7, [capture()], 10_000)[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seq": "7"}, "seq"),
        ({"dcu": None}, "dcu"),
        ({"columns": [1]}, "columns"),
        ({"captures": [7]}, "object"),
        ({"captures": [GOOD["captures"][0] | {"columns": 1}]}, "without columns"),
        ({"captures": [GOOD["captures"][0] | {"values": [{"hex": "x"}]}]}, "octets"),
        ({"captures": [GOOD["captures"][0] | {"values": [[1]]}]}, "value"),
        ({"captures": [GOOD["captures"][0] | {"at": "2026-01-31T12:00:00"}]}, "zone"),
        ({"captures": [GOOD["captures"][0] | {"lost": [1]}]}, "lost"),
        ({"part": 2}, "part 2 of 1"),
        ({"seq": 1 << 63}, "64 bits"),
        ({"dcu": "\ud800"}, "no text"),
        ({"captures": [GOOD["captures"][0] | {"meter": "\udfff"}]}, "no text"),
        ({"captures": [GOOD["captures"][0] | {"offset": 10**400}]}, "64 bits"),
        ({"captures": [GOOD["captures"][0] | {"status": 1 << 70}]}, "64 bits"),
    ],
)
def test_a_block_of_the_wrong_shape(change: dict[str, object], words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode(json.dumps(GOOD | change).encode())


@pytest.mark.parametrize(
    "change", [{"meter": "M\ud800"}, {"at": 1 << 63}, {"status": 1 << 70}, {"read_at": float("inf")}]
)
def test_a_compact_block_that_no_database_could_keep(change: dict[str, Any]) -> None:
    head = {key: GOOD[key] for key in ("dcu", "boot", "stream", "seq", "columns")}
    row = dataclasses.replace(capture(), **change)
    with pytest.raises(DecodeError):
        decode(encode_block(head, [row], [0], [None]))


def test_a_value_is_told_as_the_meter_has_it_and_an_offset_that_is_no_number_is_not_known() -> None:
    row = dataclasses.replace(capture(values=("x\ud800",)), offset=float("nan"))
    (payload,) = ENVELOPES.block("load0", 7, [row], 10_000, compact=True)
    block = decode(payload)
    assert isinstance(block, Block)
    assert (block.captures[0].values, block.captures[0].offset) == (("x\ud800",), None)


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"{", b"\xdc", b"\xdc\x02\x00\x01x", b"\xdc\x01\x07\x01x"])
def test_no_message(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(payload)


def test_nothing_but_the_standard_library_is_needed() -> None:
    """-I leaves out the environment's packages as far as the path goes: only the library's folder is added."""
    root = Path(__file__).parents[3]
    script = (
        f"import sys; sys.path.insert(0, {str(root)!r}); before = set(sys.modules); import dcu_headend.commands;"
        "own = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(own - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dcu_headend"]
