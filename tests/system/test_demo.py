"""A show as somebody sees it who has no terminal: plain lines, the table, an exit status that says how it went."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process, create_subprocess_exec

import pytest

from sim.broker import mosquitto

SHOW = ("--meters", "6", "--buses", "2", "--seconds", "12", "--outage", "4")

EVEN = "every reading that was due arrived, and was right"


async def start(*words: str) -> Process:
    return await create_subprocess_exec(
        sys.executable, "-m", "sim.demo", *words, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )


async def show(*words: str) -> list[str]:
    """Return the lines of a show that has to end well."""
    running = await start(*words)
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    return said.decode().splitlines()


def assert_whole(lines: list[str], broker: str) -> None:
    """A show is told from its beginning to its verdict; no line is drawn over another."""
    assert lines[0].startswith(f"{broker} on port ")
    looks = [line for line in lines if "bus use" in line]
    assert len(looks) >= 2
    assert any("broker AWAY" in look for look in looks)
    assert "broker up" in looks[0]
    assert "\x1b" not in "".join(lines)
    rows = {cells[0]: cells[1:] for line in lines if len(cells := table_cells(line)) == 7}
    assert {"instant", "load0", "load1", "daily", "billing", "event.fraud"} < rows.keys()
    for stream in ("load0", "load1", "daily", "billing"):
        expected, _, stored, delivered, wrong, missing = map(int, rows[stream])
        # a row captured while the show ends may already be there, and is not due yet
        assert stored == delivered >= expected > 0
        assert (wrong, missing) == (0, 0)
    assert lines[-1] == EVEN


def table_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")[1:-1]]


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_a_show_with_an_outage_ends_with_an_even_account() -> None:
    assert_whole(await show(*SHOW), "mosquitto")


async def test_the_embedded_broker_will_do() -> None:
    pytest.importorskip("amqtt")
    assert_whole(await show(*SHOW, "--embedded"), "amqtt")


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_faster_than_the_world() -> None:
    assert_whole(await show(*SHOW, "--speed", "4"), "mosquitto")


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_an_endless_show_ends_in_order_when_somebody_stops_it() -> None:
    running = await start("--meters", "2", "--buses", "1", "--seconds", "0")
    assert running.stdout is not None
    async with asyncio.timeout(60):
        await running.stdout.readuntil(b"bus use")
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the whole group
        said = (await running.stdout.read()).decode()
    assert await running.wait() == 0, said
    assert said.splitlines()[-1] == EVEN
