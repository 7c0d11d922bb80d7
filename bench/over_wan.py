"""A unit and a head-end in network namespaces of their own, with WAN links between: the stage of `drain`, `failover`.

`python -m bench.over_wan head|unit …` are the two processes on it. Time is CLOCK_MONOTONIC, which both share. The unit
is the daemon's delivering flow with its channels and a real store, the head-end a real mosquitto and who listens to it.
"""

import asyncio
import asyncio.subprocess as processes
import itertools
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import aiomqtt
import structlog

from bench.uplink import DCU, certified, visits
from dcu.clock import SystemClock
from dcu.config import ChannelSettings, StreamSettings, TlsSettings, UplinkSettings
from dcu.config.settings import DATA_STREAM
from dcu.delivery.deliver import Deliver
from dcu.delivery.dialect import Dialect
from dcu.dlms.cosem import UNITS
from dcu.messages.envelope import Envelopes
from dcu.store import Store
from dcu.uplink.ways import Ways
from sim.broker import Broker
from sim.networks import BROKER, Networks

#: Rows of a meter in a week of quarter hours.
WEEK = 672

#: Seconds between two rows of a unit that has something to say all the time.
PACE = 0.1

#: Seconds without a row after which everything that was to come is taken to have come, or to be lost.
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message at the head-end: when it came, the leaf of its topic, octets of its payload."""

    at: float
    leaf: str
    octets: int


class Head:
    """The head-end's process, and what came to it."""

    def __init__(self, process: processes.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def next(self) -> Arrival:
        """Return the next message. Raises TimeoutError when none comes for PATIENCE seconds."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            at, leaf, octets = json.loads(await self._process.stdout.readline())
        return Arrival(at, leaf, octets)

    async def row(self) -> Arrival:
        """Return the next message with captures."""
        while not (arrival := await self.next()).leaf.startswith("data/"):
            pass
        return arrival


@asynccontextmanager
async def head_end(stage: Networks, folder: Path) -> AsyncIterator[Head]:
    """Start the head-end on its side."""
    command = stage.within(stage.head, sys.executable, "-m", "bench.over_wan", "head", str(folder))
    async with _running(command) as process:
        assert process.stdout is not None
        yield Head(process, int(await process.stdout.readline()))


@asynccontextmanager
async def unit(stage: Networks, head: Head, folder: Path, *words: str) -> AsyncIterator[float]:
    """Start the unit on its side; yield when it began to send.

    `words` are its meters with a week unsent (0: it reads meanwhile), then the silence of each channel.
    """
    command = stage.within(stage.unit, sys.executable, "-m", "bench.over_wan", "unit", str(folder), str(head.port))
    async with _running([*command, *words]) as process:
        assert process.stdout is not None
        yield float(await process.stdout.readline())


@asynccontextmanager
async def _running(command: Sequence[str]) -> AsyncIterator[processes.Process]:
    process = await asyncio.create_subprocess_exec(*command, stdout=processes.PIPE, stderr=processes.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _head(folder: Path) -> None:
    certificate, key = certified(folder, BROKER)
    listener = f"certfile {certificate}", f"keyfile {key}", "listener 1883 127.0.0.1", "allow_anonymous true"
    # else its first answer waits for the acknowledgement of its session tickets, a round trip
    options = (*listener, "set_tcp_nodelay true")
    broker = Broker(folder / "broker", options, embedded=False)
    broker.host = BROKER
    async with broker, aiomqtt.Client("127.0.0.1", 1883) as client:
        await client.subscribe(f"ami/v1/{DCU}/#", qos=1)
        print(broker.port, flush=True)
        async for message in client.messages:
            leaf = str(message.topic).removeprefix(f"ami/v1/{DCU}/")
            print(json.dumps([time.monotonic(), leaf, len(bytes(message.payload))]), flush=True)


async def _unit(folder: Path, port: int, meters: int, silences: Sequence[float]) -> None:
    channels = tuple(
        ChannelSettings(f"channel{number}", interface=f"wan{number}", silence=silence or None)
        for number, silence in enumerate(silences)
    )
    stream = DATA_STREAM if meters else StreamSettings(delay=0.0)
    tls = TlsSettings(str(folder / "broker.pem"))
    settings = UplinkSettings(BROKER, DCU, port, tls=tls, streams={"load0": stream}, channels=channels)
    clock = SystemClock()
    way = Ways(settings, DCU, clock, folder)
    async with Store.open(folder / "store.db", clock) as store:
        for captures in visits(meters, WEEK):
            await store.readings.record(captures, {})
        flow = Deliver(
            store=store.outbox,
            uplink=way,
            backoff=way.backoff,
            dialect=Dialect(Envelopes(DCU, "5f0c2a9be1d4", {"version": "0.1.0"}, UNITS), way.topics, clock),
            clock=clock,
            on_command=_no_command,
        )
        print(time.monotonic(), flush=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(flow.run())
            if not meters:
                group.create_task(_read(store))


async def _read(store: Store) -> None:
    ((row,),) = visits(1, 1)
    for number in itertools.count():
        await store.readings.record([replace(row, meter=f"M{number}")], {})
        await asyncio.sleep(PACE)


async def _no_command(topic: str, payload: bytes) -> None:
    raise AssertionError(f"a command on {topic}: {payload[:40]!r}")


def main() -> None:
    """Be one of the two sides until SIGTERM."""
    side, folder, *words = sys.argv[1:]
    # what is logged must not fill the pipe
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if side == "head":
        work = _head(Path(folder))
    else:
        port, meters, *silences = words
        work = _unit(Path(folder), int(port), int(meters), list(map(float, silences)))
    with suppress(asyncio.CancelledError):
        asyncio.run(_until_told(work))


async def _until_told(work: Coroutine[None, None, None]) -> None:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


if __name__ == "__main__":
    main()
