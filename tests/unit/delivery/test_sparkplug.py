"""When the box speaks Sparkplug, and when it holds its tongue; what it says is in test_edge_node."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import pytest

from dcu.delivery.dialect import Owed
from dcu.delivery.sparkplug import LOOK, Sparkplug
from dcu.errors import CommandRejected
from dcu.messages.edge_node import BDSEQ, REBIRTH, EdgeNode
from dcu.messages.envelope import Envelopes
from dcu.messages.sparkplug import Metric, Payload, encode_payload
from dcu.model import Dropped
from dcu.uplink import Link, Outgoing
from tests.captures import SetClock
from tests.links import TOPICS, MemoryLink
from tests.outbox import NOON, Block, capture, record
from tests.sparkplug_host import read

NCMD, STATE = "spBv1.0/utility/NCMD/DCU-1", "spBv1.0/STATE/scada"
REQUEST = encode_payload(Payload(1, (Metric(True, 1, REBIRTH),)))


@dataclass
class Speaking:
    """A dialect by a clock that the test sets. `lost` are the meters that cannot be reached."""

    host: str | None = None
    several: bool = False
    lost: set[str] = field(default_factory=set)
    clock: SetClock = field(default_factory=lambda: SetClock(float(NOON)))

    def __post_init__(self) -> None:
        node = EdgeNode("utility", "DCU-1")
        words = Envelopes("DCU-1", "b"), TOPICS, self.clock
        self.dialect = Sparkplug(*words, node, self.lost.__contains__, self.host, lambda: self.several)
        self.dialect.will()
        self.clock.time += LOOK

    def births(self) -> list[str]:
        return verbs(self.dialect.births(Owed({}, {}, {}), "5", 100_000))

    def waits(self) -> str | None:
        return self.dialect.waits

    def over(self) -> bool:
        return self.dialect.over

    def due(self) -> list[str]:
        return verbs(self.dialect.due())

    def tell(self, *meters: str) -> list[Outgoing]:
        return self.dialect.block(Block("load0", 5, tuple(map(capture, meters))), 100_000, compact=True)

    def host_says(self, at: int, *, online: bool) -> None:
        self.dialect.heard(STATE, json.dumps({"online": online, "timestamp": at}).encode())


def verbs(messages: Iterable[Outgoing]) -> list[str]:
    return [message.topic.split("/")[2] for message in messages]


def test_births_then_data_and_a_receipt_of_our_own() -> None:
    speaking = Speaking()
    assert (speaking.waits(), speaking.dialect.hears) == (None, (NCMD,))
    assert speaking.births() == ["NBIRTH"]
    *told, receipt = speaking.tell("M1", "M2")
    assert verbs(told) == ["DBIRTH", "DDATA"] * 2
    assert all((message.qos, message.retain) == (0, False) for message in told)
    assert (receipt.topic, receipt.qos) == (TOPICS.of_stream("load0"), 1)
    assert json.loads(receipt.payload)["sparkplug"] == 4
    assert receipt.content_type == "application/json"
    assert speaking.births() == ["NBIRTH", "DBIRTH", "DBIRTH"], "over the next connection"


def test_results_and_what_had_to_go_are_told_in_our_own_words() -> None:
    dialect = Speaking().dialect
    for block in (Block("result", 1, (record("c1"),)), Block("load0", 2, (), Dropped("storage", 1, 0, 0))):
        (message,) = dialect.block(block, 100_000, compact=False)
        assert message.topic == TOPICS.of_stream(block.stream)


def test_a_block_with_a_row_that_sparkplug_has_no_words_for_is_told_in_ours() -> None:
    rows = capture("M1"), capture("M2", values=(1, 2))
    (message,) = Speaking().dialect.block(Block("load0", 5, rows), 100_000, compact=False)
    assert message.topic == TOPICS.of_stream("load0")
    assert [row["meter"] for row in json.loads(message.payload)["captures"]] == ["M1", "M2"]


def test_a_rebirth_is_told_once_and_a_lost_meter_dies() -> None:
    speaking = Speaking()
    speaking.births()
    speaking.tell("M1", "M2")
    speaking.dialect.heard(NCMD, REQUEST)
    assert speaking.due() == ["NBIRTH", "DBIRTH", "DBIRTH"]
    assert speaking.due() == []
    speaking.lost.add("M1")
    assert speaking.due() == [], "it is looked at once a minute"
    speaking.clock.time += LOOK
    assert speaking.due() == ["DDEATH"]
    assert speaking.dialect.node.devices == ("M2",)


@pytest.mark.parametrize(("topic", "payload"), [(NCMD, b"\xff\xff"), (STATE, b"ONLINE")])
def test_nonsense_changes_nothing(topic: str, payload: bytes) -> None:
    speaking = Speaking("scada")
    with pytest.raises(CommandRejected):
        speaking.dialect.heard(topic, payload)
    assert speaking.due() == []


def test_nothing_is_told_before_the_primary_host_is_online() -> None:
    speaking = Speaking("scada")
    assert speaking.dialect.hears == (NCMD, STATE)
    assert speaking.births() == []
    assert speaking.waits() == "the primary host scada is not online"
    speaking.dialect.heard(NCMD, REQUEST)
    speaking.host_says(100, online=False)
    assert (speaking.due(), speaking.over()) == ([], False)
    speaking.host_says(101, online=True)
    assert (speaking.waits(), speaking.due()) == (None, ["NBIRTH"])
    speaking.host_says(102, online=True)
    assert speaking.due() == [], "one that is online already is told nothing anew"


def test_a_host_that_goes_ends_the_connection_and_the_next_one_waits() -> None:
    speaking = Speaking("scada")
    speaking.host_says(100, online=True)
    speaking.host_says(99, online=False)
    assert not speaking.over(), "an older word"
    speaking.host_says(100, online=False)
    assert speaking.over()
    speaking.dialect.will()
    assert (speaking.over(), speaking.births()) == (False, [])
    speaking.host_says(50, online=True)
    assert speaking.due() == ["NBIRTH"], "another broker may have another word"


def test_a_broker_without_the_host_is_left_where_there_are_others() -> None:
    speaking = Speaking("scada", several=True)
    speaking.host_says(100, online=False)
    assert speaking.over()


@dataclass
class Leaving:
    """A link that notes whether the will is left."""

    link: MemoryLink
    left: bool = False

    async def publish(self, message: Outgoing) -> None:
        await self.link.publish(message)

    def leave_will(self) -> None:
        self.left = True


async def test_going_on_purpose_leaves_the_will_besides() -> None:
    leaving = Leaving(MemoryLink())
    await Speaking().dialect.farewell(cast("Link", leaving), "stop")
    assert verbs(sent.message for sent in leaving.link.sent) == ["NDEATH"]
    assert leaving.left


def bdseq(payload: bytes) -> int:
    return next(int(metric.long_value) for metric in read(payload).metrics if metric.name == BDSEQ)


async def test_a_sleep_by_the_timetable_is_a_death_and_waking_a_birth_of_the_next_number() -> None:
    speaking, link = Speaking(), MemoryLink()
    (birth,) = speaking.dialect.births(Owed({}, {}, {}), "5", 100_000)
    speaking.tell("M1")
    await speaking.dialect.farewell(cast("Link", Leaving(link)), "sleep", NOON + 3600)
    death = link.sent[-1].message
    will = speaking.dialect.will()
    assert verbs([death, will]) == ["NDEATH", "NDEATH"]
    waking = list(speaking.dialect.births(Owed({}, {}, {}), "5", 100_000))
    assert verbs(waking) == ["NBIRTH", "DBIRTH"]
    first, second = bdseq(birth.payload), bdseq(waking[0].payload)
    assert (bdseq(death.payload), bdseq(will.payload)) == (first, second)
    assert second == (first + 1) % 256
