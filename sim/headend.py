"""A head-end that subscribes to one DCU: decodes, removes duplicates, counts what is wrong, and sends commands.

It reads JSON by `docs/reference/mqtt.md` alone, and compact blocks by the head-end's library, which was written from
`docs/block-format.md` and shares no code with the writer: so it can judge both. The library in turn is judged by a
second reader (`tests/unit/messages/reference_block.py`), and by what the same captures come to as JSON.
"""

import asyncio
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import aiomqtt

from dcu.model import INSTANT
from dcu_headend.block import read_block

#: Seconds between two tries to connect, and for a condition to come true.
RETRY = 0.2
PATIENCE = 30.0

#: Seconds for the broker's answers; one that is being stopped hangs up, which aiomqtt takes for silence. A command that
#: is sent is nobody's to send again, so it has more.
ANSWER_TIMEOUT = 2.0
SEND_TIMEOUT = 15.0

#: What a compact block begins with.
COMPACT = b"\xdc"

_FINAL = frozenset({"done", "failed", "expired", "rejected"})

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    """One capture as it arrived; octets are bytes again. `columns` are the descriptions in the message."""

    meter: str
    stream: str
    at: int
    status: int
    values: tuple[Any, ...]
    columns: tuple[Mapping[str, Any], ...]
    offset: float | None
    trusted: bool
    #: When the box read it, in UTC seconds.
    read: float
    event: str | None = None
    severity: str | None = None
    detail: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies a capture for good."""
        return self.meter, self.stream, self.at


@dataclass(slots=True)
class Tally:
    """What came from one DCU, free of duplicates.

    `conflicts` counts repeats with other content (the same seq, or the same capture): each is a wrong reading.
    `doubled` counts captures and events that came again under another seq, `again` holds values of a moment for which a
    meter was really asked twice within a second (a round began right behind the one before), `dropped` what the DCU
    said it could not send, `leapt` by stream the sequence numbers it said no block has. Events of one second may share
    a key, so they are listed apart from captures.
    """

    captures: dict[tuple[str, str, int], Received] = field(default_factory=dict)
    events: list[Received] = field(default_factory=list)
    states: list[Message] = field(default_factory=list)
    results: defaultdict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    health: Message | None = None
    meters: dict[str, Message] = field(default_factory=dict)
    messages: int = 0
    octets: int = 0
    duplicates: int = 0
    conflicts: int = 0
    doubled: int = 0
    again: list[Received] = field(default_factory=list)
    dropped: list[Message] = field(default_factory=list)
    leapt: defaultdict[str, list[range]] = field(default_factory=lambda: defaultdict(list))
    _happened: set[tuple[Any, ...]] = field(default_factory=set)
    _seen: defaultdict[str, dict[tuple[int, int, int], bytes]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, leaf: str, payload: bytes) -> None:
        """Count one message of topic `{prefix}/{dcu}/{leaf}`; one that is not the DCU's to send is left alone."""
        if leaf in {"command", "ack"} or not payload:
            return
        self.messages += 1
        self.octets += len(payload)
        message = in_words(payload) if payload.startswith(COMPACT) else json.loads(payload)
        if leaf == "state":
            self.states.append(message)
        elif leaf.startswith("meter/"):
            self.meters[message["meter"]] = message
        elif leaf == "health":
            self.health = message
        elif self._new(message):
            self._keep(message)

    def holes(self) -> dict[str, list[int]]:
        """Missing sequence numbers of each stream that nobody told of, between the lowest and the highest that came."""
        missing = {
            stream: list(_missing((seq for seq, _, _ in seen), self.leapt[stream]))
            for stream, seen in self._seen.items()
        }
        return {stream: numbers for stream, numbers in missing.items() if numbers}

    @property
    def state(self) -> str | None:
        return str(self.states[-1]["state"]) if self.states else None

    def _new(self, message: Message) -> bool:
        seen = self._seen[message["stream"]]
        # a block that is divided in another way has other parts
        key = message["seq"], message.get("part", 1), message.get("parts", 1)
        # The same block sent again after a restart bears the new boot; all else has to be equal.
        content = hashlib.sha256(repr({**message, "boot": None}).encode()).digest()
        if key not in seen:
            seen[key] = content
            return True
        self.duplicates += 1
        self.conflicts += seen[key] != content
        return False

    def _keep(self, message: Message) -> None:
        if message["stream"] == "result" and "id" in message:
            self.results[message["id"]].append(message)
            return
        if "from_seq" in message.get("dropped", {}):
            word = message["dropped"]
            self.leapt[message["stream"]].append(range(word["from_seq"], word["to_seq"] + 1))
        elif "dropped" in message:
            self.dropped.append(message["dropped"])
        for received in decode(message):
            if received.stream.startswith("event"):
                self.events.append(received)
                happened = (*received.key, received.values, received.event, repr(received.detail))
                self.doubled += happened in self._happened
                self._happened.add(happened)
            elif (known := self.captures.setdefault(received.key, received)) is not received:
                same = known.values == received.values
                reads = {each.read for each in (known, *self.again) if each.key == received.key}
                if same and received.stream == INSTANT and received.read not in reads:
                    self.again.append(received)
                    continue
                self.doubled += same
                self.conflicts += not same


def in_words(payload: bytes) -> Message:
    """Return a compact block as its JSON message would be, but that times are numbers and octets are octets."""
    head, rows = read_block(payload)
    keys = ("meter", "columns", "at", "status", "read", "offset", "trusted")
    captures = [
        dict(zip(keys, row, strict=False)) | {"values": row[8]} | (json.loads(row[7]) if row[7] else {}) for row in rows
    ]
    return {**head, "captures": captures}


def decode(message: Message) -> Iterator[Received]:
    """The captures of one block."""
    sets = [tuple(columns) for columns in message["columns"]]
    for row in message["captures"]:
        yield Received(
            meter=row["meter"],
            stream=message["stream"],
            at=round(_seconds(row["at"])),
            status=row["status"],
            values=tuple(bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for value in row["values"]),
            columns=sets[row["columns"]],
            offset=row["offset"],
            trusted=row["trusted"],
            read=round(_seconds(row["read"]), 3),
            event=row.get("event"),
            severity=row.get("severity"),
            detail=row.get("detail"),
        )


def _seconds(told: str | float) -> float:
    return datetime.fromisoformat(told).timestamp() if isinstance(told, str) else told


def _missing(numbers: Iterable[int], leapt: Sequence[range]) -> Iterator[int]:
    for low, high in itertools.pairwise(sorted(set(numbers))):
        # the word of a leap is the block behind it
        begin = min([high, *(told.start for told in leapt if told.stop == high)])
        yield from range(low + 1, begin)


class HeadEnd:
    """`async with HeadEnd(host, port, dcu) as head:` follows one DCU, through any outage, in a session that lasts.

    `speed` is that of the loop, where it is one of `sim.warp`: patience and time-outs are of the world, whose broker
    answers no sooner in faster time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        dcu: str,
        *,
        prefix: str = "ami/v1",
        identifier: str = "head-end",
        speed: float = 1.0,
    ) -> None:
        self.tally = Tally()
        self.latencies: list[float] = []
        self._host, self._port = host, port
        self._root = f"{prefix}/{dcu}/"
        self._identifier = identifier
        self._speed = speed
        self._client: aiomqtt.Client | None = None
        self._changed = asyncio.Event()
        self._numbers = itertools.count(1)
        self._following: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._client is not None

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        await self.until(lambda: self.connected)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._following is not None
        while not self._following.done():
            # Again if need be: asyncio.wait_for inside aiomqtt may forget one (Python 3.11).
            self._following.cancel()
            await asyncio.wait([self._following], timeout=ANSWER_TIMEOUT * self._speed)

    async def until(self, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Return when `condition` holds; it is looked at after each message. Raises TimeoutError."""
        async with asyncio.timeout(patience * self._speed):
            while not condition():
                await self._next_change()

    async def send(self, payload: bytes) -> None:
        """Publish `payload` as a command as it is. Raises MqttError without a connection."""
        if self._client is None:
            raise aiomqtt.MqttError("the head-end has no connection")
        await self._client.publish(self._root + "command", payload, qos=1, timeout=SEND_TIMEOUT * self._speed)

    async def command(
        self, name: str, meter: str | None = None, args: Mapping[str, object] | None = None, patience: float = PATIENCE
    ) -> Message:
        """Send a command and return its final result message. Raises TimeoutError."""
        command_id = f"{self._identifier}-{id(self):x}-{next(self._numbers)}"
        targets = {"targets": {"meters": [meter]}} if meter is not None else {}
        began = asyncio.get_running_loop().time()
        await self.send(json.dumps({"id": command_id, "name": name, "args": dict(args or {}), **targets}).encode())
        final = await self.result(command_id, patience)
        self.latencies.append(asyncio.get_running_loop().time() - began)
        return final

    async def result(self, command_id: str, patience: float = PATIENCE) -> Message:
        """Return the final result message of a command. Raises TimeoutError."""
        found: list[Message] = []

        def final() -> bool:
            found.extend(each for each in self.tally.results[command_id] if each["state"] in _FINAL)
            return bool(found)

        await self.until(final, patience)
        return found[0]

    async def _next_change(self) -> None:
        """Wait for a message or a change of the connection; what ended the following ends the waiting too."""
        assert self._following is not None
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait([changed, self._following], return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if self._following.done():
            self._following.result()

    async def _follow(self) -> None:
        while True:
            try:
                await self._session()
            except aiomqtt.MqttError:
                self._client = None
                self._tell()
            await asyncio.sleep(RETRY * self._speed)

    async def _session(self) -> None:
        # 3.1.1, which every broker speaks; a kept session, so that an outage of ours loses nothing.
        patience = ANSWER_TIMEOUT * self._speed
        client = aiomqtt.Client(
            self._host, self._port, identifier=self._identifier, clean_session=False, timeout=patience
        )
        async with client:
            await client.subscribe(self._root + "#", qos=1)
            self._client = client
            self._tell()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                self.tally.take(str(message.topic).removeprefix(self._root), message.payload)
                self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
