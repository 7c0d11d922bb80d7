"""What is missing, asked of a running daemon by both doors: the same answer, with the reason of now."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from typing import Any

from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable
from tests.system.playing import FAST, Play

HOUR = 3600

#: What is expected of each meter: about a dozen rows.
TIMETABLE: Timetable = {"load0": (900, 3 * HOUR)}


async def dcuctl(stage: Stage, *words: str) -> Any:
    socket = str(stage.directory / "dcu.sock")
    command = [sys.executable, "-m", "dcu.cli.dcuctl", "--socket", socket, *words, "--json"]
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def test_gaps_and_ledger_by_both_doors(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.fleet.silence("M0002")
        await stage.daemon.start()
        await stage.head.until(lambda: stage.delivered() >= 12)
        async with asyncio.timeout(60):
            while (await stage.daemon.status())["buses"]["rs485-1"]["silent"] == 0:  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)
        gaps = await dcuctl(stage, "gaps")
        assert {gap["meter"] for gap in gaps} == {"M0002"}
        assert {(gap["stream"], gap["reason"], gap["open"]) for gap in gaps} == {("load0", "unreachable", True)}
        assert gaps[0]["intervals"] in range(11, 14)
        answer = await stage.head.command("dcu.gaps", args={"meter": "M0002"})
        ledger = (await dcuctl(stage, "ledger"))["streams"]["load0"]
        either = gaps, await dcuctl(stage, "gaps")  # a quarter of an hour may have ended meanwhile
        assert (answer["state"], answer["result"]["more"]) == ("done", None)
        assert answer["result"]["gaps"] in either
        assert ledger["expected"] == ledger["read"] + ledger["open"]
        assert ledger["open"] in {each[0]["intervals"] for each in either}
        assert ledger["stored"] >= ledger["read"] > 0
        assert (await stage.daemon.status())["success"]["load0"]["expected"] == 2

    play(scenario, Setting(FleetPlan(meters=2, buses=1, baud=FAST, hls=0), TIMETABLE))
