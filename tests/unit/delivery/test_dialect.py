"""Our own words over a connection: which topics and marks they bear; what is in them is held by test_envelope."""

import json
from typing import NoReturn, cast

import pytest

from dcu.delivery.dialect import Dialect, Owed
from dcu.messages.envelope import BLOCK, JSON, Envelopes
from dcu.model import Dropped
from dcu.uplink import Link, Outgoing
from dcu_headend import Block as Received
from dcu_headend import Dropped as Gone
from dcu_headend import decode
from tests.links import TOPICS, FixedClock, MemoryLink
from tests.outbox import NOON, Block, capture, record


class StillClock(FixedClock):
    def monotonic(self) -> float:
        return 0.0


OURS = Dialect(Envelopes("DCU-1", "b"), TOPICS, StillClock())


def marks(message: Outgoing) -> tuple[str, int, bool]:
    return message.topic, message.qos, message.retain


def test_the_will_and_the_birth_are_kept_for_who_comes_late() -> None:
    (birth,) = OURS.births(Owed({"load0": 7}, {"load0": 5}, {"load0": 40}), "5", 100_000)
    for message, state in ((OURS.will(), "offline"), (birth, "online")):
        assert marks(message) == (TOPICS.state, 1, True)
        assert json.loads(message.payload)["state"] == state
    assert json.loads(birth.payload)["owed"] == {"load0": 5}


def test_a_birth_that_is_too_long_says_less_of_the_streams() -> None:
    streams = {f"stream-{number}": number for number in range(40)}
    lengths = [len(next(iter(OURS.births(Owed(streams, streams, streams), "5", limit))).payload) for limit in (9999, 1)]
    assert lengths[1] < 300 < lengths[0]


@pytest.mark.parametrize(
    ("stream", "topic", "urgent"),
    [("load0", "data/load0", False), ("event.fraud", "event", True)],
)
@pytest.mark.parametrize("compact", [False, True])
def test_blocks(stream: str, topic: str, urgent: bool, compact: bool) -> None:
    (message,) = OURS.block(Block(stream, 5, (capture(stream=stream),)), 10_000, compact=compact)
    assert marks(message) == (f"ami/v1/DCU-1/{topic}", 1, False)
    assert (message.wanted, message.urgent) == (True, urgent)
    assert message.content_type == (BLOCK if compact else JSON)


def test_a_result_and_what_had_to_go() -> None:
    (result,) = OURS.block(Block("result", 5, (record("c1"),)), 10_000, compact=False)
    assert (result.topic, result.urgent) == (TOPICS.of_stream("result"), True)
    (gone,) = OURS.block(Block("load0", 6, (), Dropped("storage", 100, 200, 3)), 10_000, compact=True)
    assert json.loads(gone.payload)["dropped"]["count"] == 3


def test_a_block_beyond_the_limit_is_several_messages() -> None:
    rows = tuple(capture(f"M{number}", values=("x" * 50,)) for number in range(20))
    messages = OURS.block(Block("load0", 5, rows), 1000, compact=False)
    assert len(messages) > 1
    assert all(len(message.payload) <= 1000 for message in messages)


@pytest.mark.parametrize("stream", ["load0", "a/#", "event.dcu", "result"])
def test_a_block_that_cannot_be_written_is_dropped_under_its_number(stream: str) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise ValueError("a fault of ours")

    items = (record(),) if stream == "result" else (capture(stream=stream, at=NOON + 9), capture(stream=stream))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Envelopes, "block", fail)
        (message,) = OURS.told(Block(stream, 5, items), 10_000, compact=False)
    assert message.topic == TOPICS.of_stream(stream)
    (block,) = [decode(message.payload)]
    assert isinstance(block, Received)
    assert (block.stream, block.seq, block.captures) == (stream, 5, ())
    until = NOON if stream == "result" else NOON + 9
    assert block.dropped == Gone("unencodable", "", NOON, until, len(items))


def test_what_can_be_written_is_told_as_it_is() -> None:
    block = Block("load0", 5, (capture(),))
    assert OURS.told(block, 10_000, compact=True) == OURS.block(block, 10_000, compact=True)


async def test_going_on_purpose() -> None:
    link = MemoryLink()
    await OURS.farewell(cast("Link", link), "stop")
    await OURS.farewell(cast("Link", link), "sleep", NOON + 3600.5)
    assert [(sent.body["state"], sent.body["reason"], sent.body.get("until")) for sent in link.sent] == [
        ("stopped", "stop", None),
        ("stopped", "sleep", "2026-01-31T13:00:00Z"),
    ]


def test_it_hears_nothing_and_waits_for_nobody() -> None:
    assert (OURS.hears, OURS.waits, OURS.over, list(OURS.due())) == ((), None, False, [])
    assert (OURS.laborious, OURS.consecutive) == (False, False)
    OURS.heard("t", b"")
