"""Octets that nobody meant, at every door of the box: how many of them raise what is not ours, hang, or make it grow.

On the bus: everything that the property tests know to meet the line, with their mutations of a corpus. From the broker:
commands, acknowledgements and Sparkplug's payloads; in the file of the configuration; at the local socket, a real one.
The last two answer from a real store. What looks good and is not the meter's is in `bench.tampering`.
"""

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import thread_time
from typing import Any, Final

from dcu.clock import SystemClock
from dcu.errors import DcuError
from dcu.health import Health
from dcu.host.local import LocalDoor
from dcu.messages.acknowledgement import parse_acknowledgement
from dcu.messages.sparkplug import Metric, Payload, decode_payload, encode_payload
from dcu.model import Command, Role
from dcu.obeying.obey import Obey
from dcu.store import Store
from tests.configurations import GOOD, parsed
from tests.property.octets import inputs, mutated
from tests.property.targets import TARGETS, largest, least

#: Seconds of the processor after which an input hangs: a thousand times what one takes; and of the clock, for one that
#: does not end at all.
HANG, END = 2.0, 20.0

#: Kilobytes by which the process may be larger at any time at one door than it was before.
GROWTH: Final = 32_768

#: What the doors are meant to hear; the rest is made of it.
COMMANDS: Final = (
    b'{"id":"c1","name":"dcu.ping"}',
    b'{"id":"c2","name":"meter.read","targets":{"meters":["M1"]},"args":{"profile":"load0","from":0,"to":9}}',
    b'{"id":"c3","name":"archive.import","args":{"columns":["id"],"rows":[["M1"]]},"issued":1.5,"expires":9}',
    b'{"id":"c4","name":"meter.set","targets":{"all":true},"args":{"object":"1-0:1.8.0.255","class":3,"value":[{}]}}',
)
WORDS: Final = (b'{"streams":{"load0":1769860800001,"event.fraud":1769860800004,"result":3}}',)
PAYLOADS: Final = (encode_payload(Payload(1, (Metric(value=5, at=6, name="Node Control/Rebirth"),), 7)),)

#: What a file of the configuration may be full of.
FILLINGS: Final = ("[", "- ", "{a: ", "a: &a\n", "9")
FILLED: Final = 200_000

Offer = Callable[[bytes], Awaitable[object]]


@dataclass(slots=True)
class Offered:
    """How many inputs there were, and what was wrong with how they were taken."""

    inputs: int = 0
    faults: list[str] = field(default_factory=list)

    async def at(self, door: str, offer: Offer, octets: Iterable[bytes]) -> None:
        """Offer all of `octets`. Our own errors are a refusal, and good."""
        resident = least()
        for each in octets:
            self.inputs += 1
            started = thread_time()
            try:
                async with asyncio.timeout(END):
                    await offer(each)
            except DcuError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked for
                self.faults.append(f"{door}: {type(error).__name__} for {each[:200].hex()}")
            if thread_time() - started > HANG:
                self.faults.append(f"{door}: hangs at {each[:200].hex()}")
        if (grown := largest() - resident) > GROWTH:
            self.faults.append(f"{door}: {grown} kB more")


def offered(rounds: int) -> Offered:
    """Offer about `rounds` inputs at each door, always the same."""
    with alarmed():
        return asyncio.run(_offered(rounds))


@contextmanager
def alarmed() -> Iterator[None]:
    """Have what never ends ended by a signal."""
    before = signal.signal(signal.SIGALRM, _too_long)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def _too_long(*_: object) -> None:
    raise TimeoutError("it does not end")


async def _offered(rounds: int) -> Offered:
    found = Offered()
    for target, kinds in TARGETS:
        await found.at(f"bus, {target.__name__}", alone(target), inputs(kinds, rounds))
    await found.at("acknowledgement", alone(parse_acknowledgement), _like(WORDS, rounds))
    await found.at("sparkplug", alone(decode_payload), _like(PAYLOADS, rounds))
    await found.at("configuration", alone(lambda octets: parsed(octets.decode(errors="replace"))), _files(rounds))
    async with _box() as (obey, socket):
        await found.at("command", obey.receive, _like(COMMANDS, rounds))
        await found.at("socket", partial(_asked, socket), _like(COMMANDS, rounds))
        await found.at("socket afterwards", partial(_asked, socket), COMMANDS[:1])
    return found


def alone(target: Callable[[bytes], Any]) -> Offer:
    """Return an offer to what does not wait."""

    async def offer(octets: bytes) -> None:
        signal.setitimer(signal.ITIMER_REAL, END)
        try:
            target(octets)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    return offer


def _like(seeds: tuple[bytes, ...], rounds: int) -> Iterator[bytes]:
    dice = Random(2026)
    yield from seeds
    for _ in range(rounds - len(seeds)):
        yield mutated(dice, dice.choice(seeds))


def _files(rounds: int) -> Iterator[bytes]:
    """Yield files full of one thing, and the good one with something done to it: each takes milliseconds."""
    yield from ((unit * (FILLED // len(unit))).encode() for unit in FILLINGS)
    yield from _like((GOOD.encode(),), rounds // 4)


@asynccontextmanager
async def _box() -> AsyncIterator[tuple[Obey, Path]]:
    """Run what obeys, of no meters, and the local door to it; yield both."""
    with tempfile.TemporaryDirectory() as folder:
        clock, socket = SystemClock(), Path(folder) / "s"
        async with Store.open(Path(folder) / "store.db", clock) as store:
            nobody: frozenset[str] = frozenset()
            obey = Obey(store.commands, _no_visit, nobody.__contains__, _done, clock, Health(), (Role.VIEWER,))
            door = asyncio.create_task(LocalDoor(socket, obey.lines).run())
            try:
                while not socket.exists():  # noqa: ASYNC110 - a door tells nobody that it is open
                    await asyncio.sleep(0.01)
                yield obey, socket
            finally:
                door.cancel()
                await asyncio.wait([door])


def _no_visit(visit: object) -> None:
    raise RuntimeError(f"a visit to a meter that is not there: {visit}")


async def _done(command: Command) -> dict[str, Any]:
    return {"name": command.name}


async def _asked(socket: Path, octets: bytes) -> None:
    """Say `octets` to the local door; raises ValueError for an answer that is none."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(octets.replace(b"\n", b" ") + b"\n")
        lines = (await reader.read()).splitlines()
        states = [json.loads(line)["state"] for line in lines]
        if not states:
            raise ValueError("no answer")
    finally:
        writer.close()
