"""Holds docs/understand/dlms.md to the code: its frames are those of a run over a simulated line, and so explained.

`DCU_WRITE_DOCS=1 pytest` on this file writes the frames anew after the protocol was changed on purpose.
"""

import os
import re
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from dcu.bus import Port
from dcu.clock import Clock
from dcu.config import BusConfig
from dcu.conversation.session import Session
from dcu.dlms.association import Association
from dcu.dlms.axdr import DateTime, date_time
from dcu.dlms.explain import explain
from dcu.dlms.hdlc import ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.services import Get, by_range
from dcu.model import Access, Attribute, Keys
from dcu.obis import parse_obis
from sim.bus import MemoryBus
from sim.line import Line
from sim.meter import Nameplate, SimMeter
from sim.server import MANAGEMENT, READER
from tests.lines import ORIGIN, virtually

PAGE = Path(__file__).parents[2] / "docs/understand/dlms.md"
KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0xD0, 0xE0)))
ACCESS = {"reader": READER, "management": MANAGEMENT}
CLOCK = Attribute(8, parse_obis("0-0:1.0.0.255"))
REGISTERS = [Get(Attribute(3, parse_obis(name))) for name in ("1-0:1.8.0.255", "1-0:32.7.0.255")]
LOAD = Attribute(7, parse_obis("1-0:99.1.0.255"))
QUARTER = int(ORIGIN) // 900 * 900

#: A fenced block that is written from a run: which run, and its frames from first to last, counted from 1.
FRAMES = re.compile(r"^```dlms (\w+) (\d+)-(\d+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OCTETS = re.compile(r"^```octets (\w+) (\d+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WIDTH = 32


class Tap:
    """A port that notes what passes: `>` and what was written, `<` and what came until then."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.octets_sent = self.octets_received = 0
        self.passed: list[tuple[str, bytes]] = []

    async def open(self) -> None:
        await self.port.open()

    async def close(self) -> None:
        await self.port.close()

    async def drain(self, quiet: float) -> bool:
        return await self.port.drain(quiet)

    def hung_up(self) -> bool:
        return self.port.hung_up()

    async def write(self, data: bytes) -> None:
        self.passed.append((">", data))
        await self.port.write(data)

    async def read(self) -> bytes:
        data = await self.port.read()
        mark, before = self.passed[-1]
        if mark == "<":
            self.passed[-1] = mark, before + data
        else:
            self.passed.append(("<", data))
        return data


async def visit(clock: Clock, access: Access) -> list[tuple[str, bytes]]:
    meter = SimMeter(Nameplate(seed=7, id="M0001", address=17, keys=KEYS, compressed=False))
    tap = Tap(MemoryBus("line", Line([meter], baud=9600, turnaround=0.02), clock).port)
    association = Association(
        HdlcLink(access.client, ServerAddress(1, 17)),
        access,
        KEYS,
        client_title=b"DCU00001",
        take_counter=count(1).__next__,
        challenge=lambda size: b"client challenge"[:size],
    )
    session = Session(tap, BusConfig("line", "memory", 9600), association)
    await session.open()
    start, end = (date_time(DateTime.from_utc(moment)) for moment in (QUARTER - 900, QUARTER))
    rows = Get(LOAD, by_range(CLOCK, start, end))
    wanted = [Get(CLOCK), *REGISTERS, rows] if access is READER else REGISTERS
    assert len(await session.get(wanted)) == len(wanted)
    await session.close()
    return tap.passed


@cache
def run(name: str) -> list[tuple[str, bytes]]:
    return virtually(lambda clock: visit(clock, ACCESS[name]))


def told(name: str, number: int) -> str:
    """Return frame `number` (from 1) of a run as the page shows it: the octets, then what they say."""
    frames = run(name)
    mark, octets = frames[number - 1]
    lines = [octets[at : at + WIDTH].hex(" ") for at in range(0, len(octets), WIDTH)]
    shown = "\n".join(f"{mark} {line}" for line in lines)
    # titles are learnt from the AARQ and the AARE: what came before is explained along and cut off again
    before = explain(b"".join(octets for _, octets in frames[: number - 1]), KEYS).text if number > 1 else ""
    whole = explain(b"".join(octets for _, octets in frames[:number]), KEYS)
    assert whole.good, whole.text
    explanation = whole.text.removeprefix(before).strip("\n")
    return f"{shown}\n" + "".join(f"    {line}\n" for line in explanation.splitlines())


def rendered(page: str) -> str:
    def block(found: re.Match[str]) -> str:
        name, first, last = found[1], int(found[2]), int(found[3])
        frames = "\n".join(told(name, number) for number in range(first, last + 1))
        return f"```dlms {name} {first}-{last}\n{frames}```"

    return FRAMES.sub(block, page)


def test_the_page_shows_the_run() -> None:
    page = PAGE.read_text()
    if os.environ.get("DCU_WRITE_DOCS"):
        PAGE.write_text(rendered(page))
    assert PAGE.read_text() == rendered(page)
    assert len(FRAMES.findall(page)) == 7


@pytest.mark.parametrize("access", ACCESS)
def test_the_page_misses_no_step(access: str) -> None:
    shown = {
        number
        for name, first, last, _ in FRAMES.findall(PAGE.read_text())
        if name == access
        for number in range(int(first), int(last) + 1)
    }
    # the link of the second visit is opened and closed as that of the first
    frames = set(range(1, len(run(access)) + 1))
    assert shown == (frames if access == "reader" else frames - {1, 2, *sorted(frames)[-2:]})


def test_the_octets_that_are_annotated_are_the_whole_frame() -> None:
    blocks = OCTETS.findall(PAGE.read_text())
    assert blocks
    for name, number, lines in blocks:
        columns = [re.split(r"\s{2,}", line, maxsplit=1) for line in lines.splitlines()]
        assert all(len(column) == 2 for column in columns)
        assert "".join(column[0] for column in columns).replace(" ", "") == run(name)[int(number) - 1][1].hex()
