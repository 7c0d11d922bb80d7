"""A line goes on before a commit; what was read counts as read after it, and a failure is heard."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dcu.conversation.visit import Findings
from dcu.errors import ShelteredError, StoreError
from dcu.health import BusHealth
from dcu.model import Capture
from dcu.plan.ledger import Account
from dcu.polling.handover import UNCONFIRMED_BOUND, Handover
from dcu.store import Recorded
from tests.captures import SetClock, capture


class HeldStore:
    """Commits when it is let; what is not patient lets it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.kept: list[Capture] = []
        self.failure: Exception | None = None

    async def record(self, captures: Sequence[Capture], *_: object, patient: bool = False, **__: object) -> Recorded:
        if not patient:
            self.gate.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.kept += captures
        return Recorded({(each.meter, each.stream): Account(0, 900, each.at) for each in captures})


class Rooms:
    """What the archive, the sieve and the reports hear of it."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.again: list[tuple[str, list[str]]] = []
        self.reports: list[tuple[str, str, dict[str, object]]] = []

    async def review(self, *_: object) -> None: ...

    async def sift(self, captures: Sequence[Capture]) -> list[Capture]:
        return list(captures)

    async def report(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.reports.append((name, meter, detail))

    def stored(self, found: Findings, recorded: Recorded, now: float) -> list[str]:
        self.read += [meter for meter, _ in recorded.accounts]
        return [*found.more]

    def ask(self, meter: str, streams: Sequence[str]) -> None:
        self.again.append((meter, list(streams)))


def parts() -> tuple[Handover, HeldStore, Rooms]:
    store, rooms = HeldStore(), Rooms()
    archive: Any = rooms
    return Handover(store, archive, archive, SetClock(), BusHealth(), rooms.report, rooms.ask), store, rooms


def found(meter: str, stream: str = "load0") -> Findings:
    findings = Findings()
    findings.captures = [capture(900, meter, stream)]
    return findings


async def turns() -> None:
    """Let what is ready run until nothing is."""
    for _ in range(20):
        await asyncio.sleep(0)


HEARD: Mapping[str, int] = {}


async def test_the_next_meter_is_visited_before_the_commit() -> None:
    handover, store, rooms = parts()
    await handover.keep("M1", found("M1"), HEARD, ["load0"])
    await handover.keep("M2", found("M2"), HEARD, ["load0"])
    assert (store.kept, rooms.read) == ([], [])
    store.gate.set()
    await handover.settled()
    assert rooms.read == ["M1", "M2"]
    assert handover.health.captures == 2


async def test_an_event_waits_for_its_commit() -> None:
    handover, store, rooms = parts()
    await handover.keep("M1", found("M1", "event.fraud"), HEARD, ["event.fraud"])
    assert (len(store.kept), rooms.read) == (1, ["M1"])


async def test_one_meter_is_asked_again_only_after_its_commit() -> None:
    handover, store, rooms = parts()
    await handover.keep("M1", found("M1"), HEARD, ["load0"])
    settling = asyncio.create_task(handover.settle("M1"))
    await asyncio.sleep(0)
    assert not settling.done()
    store.gate.set()
    await settling
    assert rooms.read == ["M1"]
    await handover.settle("M9")


async def test_what_is_under_way_is_bounded() -> None:
    handover, store, _ = parts()
    for number in range(UNCONFIRMED_BOUND):
        await handover.keep(f"M{number}", found(f"M{number}"), HEARD, ["load0"])
    one_more = asyncio.create_task(handover.keep("M99", found("M99"), HEARD, ["load0"]))
    await turns()
    assert not one_more.done()
    store.gate.set()
    await one_more
    await handover.settled()
    assert len(store.kept) == UNCONFIRMED_BOUND + 1


async def test_more_is_asked_for_after_the_commit_only() -> None:
    handover, store, rooms = parts()
    more = found("M1")
    more.more.append("load0")
    await handover.keep("M1", more, HEARD, ["load0", "instant"])
    assert rooms.again == []
    store.gate.set()
    await handover.settled()
    assert rooms.again == [("M1", ["load0"])]


async def test_a_failure_is_heard_and_the_streams_are_asked_for_again() -> None:
    handover, store, rooms = parts()
    store.failure = StoreError("the disk is full")
    await handover.keep("M1", found("M1"), HEARD, ["load0"])
    await handover.check()
    store.gate.set()
    await turns()
    with pytest.raises(StoreError, match="the disk is full"):
        await handover.check()
    assert (rooms.read, rooms.again) == ([], [("M1", ["load0"])])
    await handover.check()


async def test_all_that_was_read_while_the_store_failed_is_asked_for_again_when_it_keeps() -> None:
    handover, store, rooms = parts()
    store.gate.set()
    store.failure = ShelteredError("the disk is full")
    for streams in (["billing", "load0"], ["load0", "daily"]):
        await handover.keep("M1", found("M1"), HEARD, streams)
        await handover.settled()
    assert rooms.again == []
    store.failure = None
    for _ in range(2):
        await handover.keep("M2", found("M2"), HEARD, ["load0"])
        await handover.settled()
    assert rooms.again == [("M1", ["billing", "load0", "daily"])]


async def test_a_meter_exchanged_while_the_store_fails_is_told() -> None:
    handover, store, rooms = parts()
    store.gate.set()
    store.failure = ShelteredError("the disk is full")
    exchanged = found("M1")
    exchanged.changed = {"serial": ("1", "2")}
    await handover.keep("M1", exchanged, HEARD, ["load0"])
    await handover.settled()
    assert rooms.reports == [("meter exchanged", "M1", {"before": "1", "now": "2"})]
    assert handover.health.changed == 1


async def test_a_meter_exchanged_while_nothing_can_be_kept_is_told_when_the_store_is_back() -> None:
    handover, store, rooms = parts()
    store.gate.set()
    store.failure = StoreError("the disk is full")
    for before, now in (("1", "2"), ("2", "3")):
        exchanged = found("M1")
        exchanged.changed, exchanged.recast = {"serial": (before, now)}, ["load0"]
        await handover.keep("M1", exchanged, HEARD, ["load0"])
        with pytest.raises(StoreError):
            await handover.settled()
    assert rooms.reports == []
    store.failure = None
    for _ in range(2):
        await handover.keep("M2", found("M2"), HEARD, ["load0"])
        await handover.settled()
    assert rooms.reports == [
        ("meter exchanged", "M1", {"before": "1", "now": "3"}),
        ("profile changed", "M1", {"stream": "load0"}),
    ]
    assert handover.health.changed == 1


async def test_at_the_end_what_is_under_way_is_committed_at_once() -> None:
    handover, store, rooms = parts()
    await handover.keep("M1", found("M1"), HEARD, ["load0"])
    await handover.end()
    assert rooms.read == ["M1"]
    store.gate.clear()
    store.failure = StoreError("gone")
    await handover.keep("M1", found("M1"), HEARD, ["load0"])
    await handover.end()
    assert rooms.read == ["M1"]


async def test_moments_are_counted_when_they_are_stored_and_only_those() -> None:
    handover, store, _ = parts()
    store.gate.set()
    for stream in ("instant", "load0", "event.fraud"):
        findings = found("M1", stream)
        if stream == "load0":
            findings.asked["M1", stream] = []
        await handover.keep("M1", findings, HEARD, [stream])
    doubtful = found("M1", "mine")
    doubtful.captures = [replace(each, trusted=False) for each in doubtful.captures]
    await handover.keep("M1", doubtful, HEARD, ["mine"])
    await handover.settled()
    counted = {stream: handover.moments.read(stream, 0, 1e12) for stream in ("instant", "load0", "event.fraud", "mine")}
    assert counted == {"instant": 1, "load0": 0, "event.fraud": 0, "mine": 0}
