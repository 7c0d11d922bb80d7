"""A real daemon and those who hear it: the written contract, and the example that keeps readings in a database."""

import asyncio
import json
import sqlite3
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiomqtt
import pytest

from sim.fleet import FleetPlan
from sim.stage import DCU, Setting, Stage, Timetable
from tests.asyncapi import faults
from tests.system.playing import FAST, Play, finish

ROOT = Path(__file__).parents[2]
TIMETABLE: Timetable = {
    "instant": (10, 0),
    "load0": (900, 7200),
    "event.standard": (60, 30 * 86_400),
    "event.fraud": (60, 30 * 86_400),
}
LEAVES = {"state": "state", "event": "event", "result": "result", "health": "health", "command": "command"}


@asynccontextmanager
async def overheard(stage: Stage) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Collect every message that passes, by the part of its topic behind the DCU's id."""
    heard: list[tuple[str, bytes]] = []
    root = f"ami/v1/{DCU}/"

    async def hear(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            heard.append((str(message.topic).removeprefix(root), message.payload))

    async with aiomqtt.Client(stage.broker.host, stage.broker.port) as client:
        await client.subscribe(root + "#", qos=1)
        hearing = asyncio.create_task(hear(client))
        yield heard
        async with asyncio.timeout(60):
            while not any(leaf == "state" and b'"stopped"' in payload for leaf, payload in heard):  # noqa: ASYNC110 - a list
                await asyncio.sleep(0.01)
        hearing.cancel()
        await asyncio.wait([hearing])


def test_every_message_of_a_daemon_is_one_of_the_contract(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        async with overheard(stage) as heard:
            await stage.daemon.start()
            await stage.head.until(lambda: stage.head.tally.state == "online")  # from here on commands are heard
            meter = stage.fleet.meters[0].id
            for name, target, args in (
                ("dcu.ping", None, {}),
                ("dcu.status", None, {}),
                ("meter.read", meter, {}),
                ("meter.get", meter, {"object": "0-0:1.0.0.255", "class": 8, "attribute": 2}),
                ("meter.set", meter, {"object": "0-0:1.0.0.255", "class": 8, "attribute": 2, "value": 1}),
            ):
                await stage.head.command(name, target, args)
            await finish(stage)
        counts = Counter(leaf for leaf, _ in heard)
        assert {"state", "health", "result", "command", "event", "data/load0", "data/instant"} <= counts.keys()
        wrong = [fault for leaf, payload in heard for fault in faults(LEAVES.get(leaf, "data"), payload)]
        assert not wrong, wrong[:3]

    streams = {"streams": {"default": {"encoding": "json", "delay": "0s"}}}
    play(scenario, Setting(FleetPlan(meters=4, buses=2, baud=FAST), TIMETABLE, uplink=streams))


@asynccontextmanager
async def keeping(stage: Stage, database: Path) -> AsyncIterator[None]:
    """Run the example."""
    words = (str(ROOT / "examples/keep_readings.py"), str(database), stage.broker.host, str(stage.broker.port))
    process = await create_subprocess_exec(
        sys.executable, *words, stdout=PIPE, stderr=PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert await process.stdout.readline() == b"listening\n", await process.stderr.read()
        yield
    finally:
        process.kill()
        await process.communicate()


def rows(database: Path) -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return set(connection.execute("SELECT meter, stream, at, object, attribute, number, text FROM readings"))


def arrived(stage: Stage) -> set[tuple[object, ...]]:
    """Return what the judging head-end has, as the example keeps it."""
    return {
        (*received.key, column["object"], column["attribute"], value, None)
        for received in stage.head.tally.captures.values()
        for column, value in zip(received.columns, received.values, strict=True)
        if isinstance(value, int)
    }


@pytest.mark.parametrize("encoding", ["block", "json"])
def test_the_example_keeps_each_reading_once_whatever_happens_to_it(play: Play, tmp_path: Path, encoding: str) -> None:
    database = tmp_path / "readings.db"

    async def scenario(stage: Stage) -> None:
        async with keeping(stage, database):
            await stage.daemon.start()
            async with asyncio.timeout(60):
                while not database.exists() or not rows(database):  # noqa: ASYNC110 - another process's file
                    await asyncio.sleep(0.1)
        # killed; what comes meanwhile waits at the broker
        await asyncio.sleep(2)
        async with keeping(stage, database):
            await finish(stage)
            async with asyncio.timeout(60):
                while rows(database) != arrived(stage):  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.1)
        with closing(sqlite3.connect(database)) as connection:
            events = connection.execute("SELECT count(*) FROM events").fetchone()
            memories = connection.execute("SELECT memory FROM followed").fetchall()
        assert events == (len(stage.head.tally.events),)
        assert all(len(json.loads(memory)["spans"]) == 1 for (memory,) in memories)

    streams = {"streams": {"default": {"encoding": encoding, "delay": "0s"}}}
    # no instantaneous values: one more may be stored between the last look and the end
    timetable = {stream: due for stream, due in TIMETABLE.items() if stream != "instant"}
    play(scenario, Setting(FleetPlan(meters=4, buses=2, baud=FAST), timetable, uplink=streams))
