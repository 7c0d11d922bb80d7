"""How a scenario is played: on a stage of its own, in real time, or faster where it says so."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from dcu.model import INSTANT
from sim.stage import Setting, Stage, set_stage
from sim.warp import WarpClock, loop_factory

#: Instantaneous values that a stop may find kept and not sent yet: a commit's company.
MOMENTS = 16

#: Of the lines of a stage that nothing is to be shown of: a quarter of the usual time goes into octets.
FAST = 38_400

#: What a test does on a stage.
Scenario = Callable[[Stage], Awaitable[None]]


class Play(Protocol):
    """Plays a scenario on a stage set so, `speed` times as fast as the world."""

    def __call__(self, scenario: Scenario, setting: Setting, speed: float = 1.0) -> None: ...


def play_in(directory: Path) -> Play:
    """Return what plays scenarios with their files in `directory`."""

    def play(scenario: Scenario, setting: Setting, speed: float = 1.0) -> None:
        with asyncio.Runner(loop_factory=loop_factory(speed)) as runner:
            runner.run(_play(scenario, setting, speed, directory))

    return play


def answer_timeout(speed: float) -> int:
    """Seconds of a stage at `speed` that a meter has for its answer, which are half of one at least in the world."""
    return max(4, round(speed / 2))


async def _play(scenario: Scenario, setting: Setting, speed: float, directory: Path) -> None:
    # what is a pause of this machine's processor must not look like the end of a meter's answer
    patience = {"inter_octet": f"{max(1, round(speed / 5))}s", "timeout": f"{answer_timeout(speed)}s"}
    setting = replace(setting, bus={**patience, **setting.bus})
    if speed != 1:
        clock = WarpClock.starting_now(speed)
        # the broker answers no sooner than in the world
        uplink = {"keepalive": f"{round(30 * speed)}s", **setting.uplink}
        setting = replace(setting, clock=clock, speed=speed, origin=clock.origin, uplink=uplink)
    async with set_stage(setting, directory) as stage:
        try:
            await scenario(stage)
        except BaseException:
            print(stage.daemon.said()[-4000:])
            raise


async def pass_time(stage: Stage, seconds: float = 0.5) -> None:
    """Let `seconds` of the world's time pass."""
    await asyncio.sleep(seconds * stage.setting.speed)


def assert_even(stage: Stage, end: float) -> None:
    """Every row that was due is at the head-end, each value is what the meter held, and no sequence number is missing.

    An instantaneous value may have been missed, a moment that passed is gone; it may not be mistaken.
    """
    for line in stage.account(end):
        assert line.wrong == 0, line
        assert line.missing == 0 or line.stream == INSTANT, line
        assert line.expected > 0 or line.stream.startswith(("event", INSTANT)), line
        # one more moment may have been read after the last look, and be kept for the next start
        assert line.delivered <= line.stored <= line.delivered + MOMENTS * (line.stream == INSTANT), line
    assert stage.head.tally.holes() == {}


async def finish(stage: Stage, patience: float = 60.0) -> None:
    """Let everything due arrive within `patience` real seconds, end the daemon, and draw up the account."""
    end = await stage.settled(patience)
    assert await stage.daemon.stop() == 0
    await stage.head.until(lambda: stage.head.tally.state == "stopped")
    assert_even(stage, end)
