"""The flow up over a line as bad as a modem's, between two network namespaces. Nothing may be lost or changed."""

import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process, create_subprocess_exec
from pathlib import Path

import pytest

from dcu.uplink.traffic import noticed_within
from sim.broker import mosquitto
from sim.networks import Networks, WanLink, missing, networks
from tests.trickle import KEEPALIVE, SILENCE

pytestmark = pytest.mark.skipif(missing() is not None or mosquitto() is None, reason=f"{missing()}, or no mosquitto")

#: Seconds that a busy machine may be late; a system that is not asked takes a vanished peer for alive for 15 minutes.
LATE = 10.0


async def far_side(stage: Networks, folder: Path, *words: str) -> Process:
    command = stage.within(stage.head, sys.executable, "-m", "tests.far_side", str(folder), stage.unit, *words)
    return await create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)


async def told(process: Process, word: str) -> list[float]:
    """Return the numbers behind `word`, as soon as it is said."""
    assert process.stdout is not None
    said = b""
    while line := await process.stdout.readline():
        said += line
        if line.split()[:1] == [word.encode()]:
            return [float(number) for number in line.split()[1:]]
    pytest.fail(said.decode())


async def test_a_modem_that_loses_a_third_of_all_packets(tmp_path: Path) -> None:
    with networks() as stage:
        async with WanLink(stage, 0, rate=40_000, delay=0.3, loss=0.3) as link:
            process = await far_side(stage, tmp_path, "1500")
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            counts = await link.end()
            assert all(lost > 0 for lost in counts["lost"])


async def test_a_peer_that_vanishes_without_a_word_is_noticed_by_the_keepalive_and_found_again(tmp_path: Path) -> None:
    with networks() as stage:
        async with WanLink(stage, 0) as link:
            process = await far_side(stage, tmp_path, "600", "tests.trickle")
            await told(process, "begun")
            vanished = time.monotonic()
            link.silence()
            at, before = await told(process, "off")
            assert at - vanished < noticed_within(KEEPALIVE, None) + LATE
            link.mend()
            _, tries = await told(process, "on")
            assert tries <= before + 2, "one that waits for its first answer, or one more"
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()


async def test_a_peer_that_vanishes_from_one_channel_is_reached_by_the_next(tmp_path: Path) -> None:
    with networks() as stage:
        async with WanLink(stage, 0) as link, WanLink(stage, 1) as standby:
            process = await far_side(stage, tmp_path, "600", "tests.trickle", link.device, standby.device)
            await told(process, "begun")
            vanished = time.monotonic()
            link.silence()
            at, before = await told(process, "off")
            assert at - vanished < noticed_within(60.0, SILENCE) + LATE
            _, tries = await told(process, "on")
            assert tries <= before + 3, "the standby is the second"
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
