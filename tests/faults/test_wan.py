"""The flow up over a line as bad as a modem's, between two network namespaces. Nothing may be lost or changed."""

import sys
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path

import pytest

from sim.broker import mosquitto
from sim.networks import WanLink, missing, networks

pytestmark = pytest.mark.skipif(missing() is not None or mosquitto() is None, reason=f"{missing()}, or no mosquitto")


async def test_a_modem_that_loses_a_third_of_all_packets(tmp_path: Path) -> None:
    with networks() as stage:
        async with WanLink(stage, 0, rate=40_000, delay=0.3, loss=0.3) as link:
            command = stage.within(
                stage.head, sys.executable, "-m", "tests.far_side", str(tmp_path), stage.unit, "1500"
            )
            process = await create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            counts = await link.end()
            assert all(lost > 0 for lost in counts["lost"])
