"""A fleet at one broker: what its DCUs cost it when they connect, deliver, and come back after it fell.

The flow up and its link are the daemon's own, over rows in memory instead of lines and a store; the broker is a real
mosquitto, the head-end two consumers of one shared subscription. Counts of octets and messages are the broker's own
($SYS). All run on this machine, so rates are what it manages with both sides; what grows with the fleet is per DCU.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import structlog

from bench.figures import Figure
from bench.uplink import COLUMNS, NOON
from dcu.clock import SystemClock
from dcu.config import StreamSettings, UplinkSettings
from dcu.delivery.deliver import Deliver
from dcu.delivery.dialect import Dialect
from dcu.delivery.standing import MeterStates
from dcu.dlms.cosem import UNITS
from dcu.messages.envelope import Envelopes
from dcu.model import Capture, Dropped, Reach, Standing
from dcu.uplink import Link, Outgoing, Uplink
from dcu_headend import Block as Received
from dcu_headend import decode
from sim.broker import Broker
from sim.fleet import FleetPlan, make_meter

#: Rows of a block, and blocks of a DCU while it is measured: two minutes of 1024 meters read each quarter of an hour.
ROWS, BLOCKS = 34, 4

#: Meters whose states each DCU here tells; the true number is in what is said of the whole fleet.
STATES = 4

#: Seconds over which this fleet's first connections, and those after a rest, are spread.
SPREAD = 10.0

#: The fleet that is spoken of.
DCUS, METERS, FLEET_SPREAD = 10_000, 1024, 600.0

CONSUMERS = 2
SHARED = "$share/head-end/ami/v1/+/data/+"

#: What mosquitto tells of itself, by our word for it.
TOLD = {
    "in": "$SYS/broker/bytes/received",
    "out": "$SYS/broker/bytes/sent",
    "messages": "$SYS/broker/messages/received",
    "heap": "$SYS/broker/heap/current",
    "clients": "$SYS/broker/clients/connected",
}


@dataclass(frozen=True, slots=True)
class Block:
    """Rows under their number."""

    stream: str
    seq: int
    items: tuple[Capture, ...]
    dropped: Dropped | None = None


@dataclass(slots=True)
class Rows:
    """An outbox in memory: one stream, blocks numbered from 1."""

    rows: list[Capture] = field(default_factory=list)
    blocks: dict[int, Block] = field(default_factory=dict)
    seq: int = 1
    fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, rows: Sequence[Capture]) -> None:
        self.rows += rows
        self.fresh.set()

    async def streams(self) -> Mapping[str, int]:
        return {"load0": self.seq}

    async def owed(self, stream: str) -> Sequence[int]:
        return sorted(self.blocks) if stream == "load0" else ()

    async def block(self, stream: str, seq: int) -> Block | None:
        return self.blocks.get(seq) if stream == "load0" else None

    async def next_block(self, stream: str, limit: int) -> Block | None:
        taken, self.rows = self.rows[:limit], self.rows[limit:]
        if not taken:
            return None
        block = self.blocks[self.seq] = Block(stream, self.seq, tuple(taken))
        self.seq += 1
        return block

    async def acknowledge(self, stream: str, seq: int) -> None:
        if stream == "load0":
            self.blocks.pop(seq, None)

    async def refuse(self, stream: str, seq: int) -> bool:
        return stream == "load0" and seq in self.blocks  # the broker of this bench refuses nothing

    async def acknowledge_to(self, words: Mapping[str, int]) -> None:
        for each in [each for each in self.blocks if each <= words.get("load0", 0)]:
            await self.acknowledge("load0", each)

    async def least_owed(self) -> Mapping[str, int]:
        return {"load0": min(self.blocks, default=self.seq)}

    async def pending(self) -> Mapping[str, int]:
        return {"load0": len(self.rows) + sum(len(block.items) for block in self.blocks.values())}

    async def waiting(self) -> Mapping[str, int]:
        return {"load0": len(self.rows)}


class Counting(Uplink):
    """Notes when each try to connect began."""

    def __init__(self, settings: UplinkSettings, dcu: str, tries: list[float]) -> None:
        super().__init__(settings, dcu)
        self._tries = tries

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        self._tries.append(time.monotonic())
        async with super().connect(will) as link:
            yield link


@dataclass(slots=True)
class HeadEnd:
    """Consumers that share the data of all DCUs; how often each block came, and by whom."""

    came: Counter[tuple[str, int]] = field(default_factory=Counter)
    shares: list[int] = field(default_factory=lambda: [0] * CONSUMERS)

    async def consume(self, port: int, number: int) -> None:
        while True:
            with suppress(aiomqtt.MqttError):
                await self._session(port, number)
            await asyncio.sleep(0.5)

    async def _session(self, port: int, number: int) -> None:
        version = aiomqtt.ProtocolVersion.V5
        async with aiomqtt.Client("127.0.0.1", port, identifier=f"consumer-{number}", protocol=version) as client:
            await client.subscribe(SHARED, qos=1)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                block = decode(message.payload)
                if isinstance(block, Received):
                    self.came[block.dcu, block.seq] += 1
                    self.shares[number] += 1


@dataclass(slots=True)
class Told:
    """What the broker says of itself, as of a second ago."""

    figures: dict[str, float] = field(default_factory=dict)

    async def listen(self, port: int) -> None:
        words = {topic: word for word, topic in TOLD.items()}
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, identifier="told") as client:
                    await client.subscribe([(topic, 0) for topic in words])
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        self.figures[words[str(message.topic)]] = float(message.payload)
            await asyncio.sleep(0.5)

    async def now(self) -> dict[str, float]:
        """Return the figures once those of the last seconds are in them."""
        await asyncio.sleep(2.5)
        return dict(self.figures)


@dataclass(slots=True)
class Fleet:
    """The DCUs, their rows, and when they tried to connect."""

    flows: list[Deliver]
    rows: list[Rows]
    tries: list[float]

    @property
    def connected(self) -> int:
        return sum(flow.figures.connected for flow in self.flows)

    @property
    def delivered(self) -> int:
        return sum(flow.figures.acknowledged for flow in self.flows)


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    count = 200 if quick else 1000
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), count))


async def _measure(folder: Path, count: int) -> Sequence[Figure]:
    head, told = HeadEnd(), Told()
    options = ("sys_interval 1", "max_inflight_messages 1000")
    async with Broker(folder / "broker", options, embedded=False) as broker, asyncio.TaskGroup() as group:
        tasks = [group.create_task(head.consume(broker.port, number)) for number in range(CONSUMERS)]
        tasks.append(group.create_task(told.listen(broker.port)))
        before = await told.now()
        fleet = _fleet(broker.port, count)
        tasks += [group.create_task(flow.run()) for flow in fleet.flows]
        each = await _connecting(fleet, told, before)
        octets = await _delivering(fleet, head, told)
        tries = await _falling(fleet, broker)
        lost = count * BLOCKS - len(head.came)
        for task in tasks:
            task.cancel()
    _whole(each, octets)
    return [Figure("fleet", "lost", lost), Figure("fleet", "tries", tries)]


def _fleet(port: int, count: int) -> Fleet:
    tries: list[float] = []
    clock, standing = SystemClock(), Standing(Reach.REACHABLE, NOON)
    fleet = Fleet([], [Rows() for _ in range(count)], tries)
    for number, rows in enumerate(fleet.rows):
        name = f"DCU-{number:05}"
        sent = {"load0": StreamSettings(delay=0.0, rows=ROWS)}
        settings = UplinkSettings("127.0.0.1", name, port, connect_spread=SPREAD, streams=sent)
        way, envelopes = Counting(settings, name, tries), Envelopes(name, "5f0c2a9be1d4", {}, UNITS)
        meters = [f"M{meter:04}" for meter in range(STATES)]
        states = MeterStates(lambda of=meters: of, lambda _: standing, envelopes, way.topics, clock)  # type: ignore[misc]
        dialect = Dialect(envelopes, way.topics, clock)
        fleet.flows.append(
            Deliver(store=rows, uplink=way, dialect=dialect, clock=clock, on_command=_no_command, states=states)
        )
    return fleet


async def _connecting(fleet: Fleet, told: Told, before: Mapping[str, float]) -> float:
    """Return the octets, both ways, of one DCU's connection with its birth, its health and STATES meters."""
    count, began = len(fleet.flows), time.monotonic()
    await _until(lambda: fleet.connected == count)
    lasted = time.monotonic() - began
    after = await told.now()
    each = sum(after[way] - before[way] for way in ("in", "out")) / count
    messages = (after["messages"] - before["messages"]) / count
    print(
        f"{count} DCUs connected in {lasted:.1f} s, spread over {SPREAD:.0f} s; at most {_peak(fleet)} tries a second"
    )
    print(f"  {each:.0f} octets both ways and {messages:.1f} packets from each DCU, with {STATES} states of meters")
    print(f"  {(after['heap'] - before['heap']) / count:.0f} octets of the broker's memory a DCU")
    return each


async def _delivering(fleet: Fleet, head: HeadEnd, told: Told) -> float:
    """Return the octets that one block comes to at the broker, both ways."""
    count = len(fleet.flows)
    rows = _captures()
    before, began = await told.now(), time.monotonic()
    for each in fleet.rows:
        each.add(rows)
    await _until(lambda: len(head.came) == count * BLOCKS)
    lasted = time.monotonic() - began
    after = await told.now()
    octets = (after["in"] - before["in"]) / (count * BLOCKS)
    twice = sum(times - 1 for times in head.came.values())
    print(f"{count * BLOCKS} blocks of {ROWS} rows delivered in {lasted:.1f} s: {count * BLOCKS / lasted:.0f} a second")
    print(f"  {octets:.0f} octets a block into the broker; came twice: {twice}; by consumer: {head.shares}")
    return octets


async def _falling(fleet: Fleet, broker: Broker) -> float:
    """Return how often a DCU tried to connect until all were back after the broker was killed for ten seconds."""
    count = len(fleet.flows)
    fleet.tries.clear()
    await broker.kill()
    await asyncio.sleep(10)
    began = time.monotonic()
    await broker.start()
    await _until(lambda: fleet.connected == count)
    lasted, tries = time.monotonic() - began, len(fleet.tries) / count
    print(f"all back {lasted:.1f} s after the broker was, {tries:.2f} tries a DCU, at most {_peak(fleet)} a second")
    return tries


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - figures have no event
        await asyncio.sleep(0.1)


def _peak(fleet: Fleet) -> int:
    return max(Counter(int(at) for at in fleet.tries).values())


def _captures() -> list[Capture]:
    plan = FleetPlan(meters=ROWS * BLOCKS, buses=3, clock_spread=5.0)
    meters = [make_meter(plan, index) for index in range(ROWS * BLOCKS)]
    return [
        Capture(
            meter.id,
            "load0",
            NOON,
            0,
            tuple(meter.value(column, NOON) for column in COLUMNS),
            COLUMNS,
            NOON + 60.0 + number * 0.16,
            round(meter.plate.clock_offset, 3),
            trusted=True,
        )
        for number, meter in enumerate(meters)
    ]


def _whole(each: float, octets: float) -> None:
    """Say what that comes to for the fleet that is spoken of."""
    blocks, retained = METERS / ROWS * DCUS / 900, DCUS * (METERS + 2)
    rate, octets_in = blocks * octets * 8 / 1e6, each * DCUS / 1e6
    print(f"{DCUS} DCUs with {METERS} meters each, read each quarter of an hour:")
    print(f"  {blocks:.0f} blocks and {rate:.1f} Mbit/s into the brokers; {DCUS / 60:.0f} healths a second")
    print(f"  {DCUS / FLEET_SPREAD:.0f} connections a second when it comes back spread over {FLEET_SPREAD:.0f} s")
    print(f"  {retained / 1e6:.2f} million retained messages; {octets_in:.0f} MB for the connections without meters")


async def _no_command(topic: str, payload: bytes) -> None:
    raise AssertionError(f"a command on {topic}: {payload[:40]!r}")
