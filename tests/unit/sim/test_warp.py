"""Faster time: the same in loop and clock, and a program of this project runs in it unchanged."""

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from dcu.clock import SystemClock
from dcu.serving import TimeBase
from sim import warp
from sim.warp import WarpClock, WarpLoop, loop_factory, main

SPEED = 200.0


def test_a_minute_passes_in_less_than_a_second() -> None:
    loop = WarpLoop(SPEED)
    began = time.monotonic()
    start = loop.time()
    loop.run_until_complete(asyncio.sleep(60))
    took = time.monotonic() - began
    assert loop.time() - start >= 60
    assert 60 / SPEED <= took < 30
    loop.close()


def test_time_outs_and_timers_keep_their_order() -> None:
    async def work() -> list[str]:
        done: list[str] = []
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(40, lambda: done.append("late" if loop.time() >= began + 40 else "too early"))
        loop.call_later(20, done.append, "early")
        try:
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        except TimeoutError:
            # where the processor was away for longer, the last timer rang already
            assert done[0] == "early"
            done.append("time-out")
        await asyncio.sleep(20)
        return done

    with asyncio.Runner(loop_factory=loop_factory(SPEED)) as runner:
        assert sorted(runner.run(work())) == ["early", "late", "time-out"]


def test_a_loop_at_the_worlds_speed_is_an_ordinary_one() -> None:
    loop = WarpLoop(1.0)
    assert loop.time() == pytest.approx(time.monotonic(), abs=1)
    loop.close()


def test_two_processes_with_the_same_origin_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp, "time", SimpleNamespace(time=lambda: 1_000_010.0, monotonic=lambda: 7.0))
    one, other = WarpClock(60.0, 1_000_000.0), WarpClock(60.0, 1_000_000.0)
    assert one.now() == other.now() == 1_000_000.0 + 600.0
    assert one.monotonic() == 420.0
    assert one.trusted()


def test_a_clock_that_starts_now_agrees_with_the_world_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp, "time", SimpleNamespace(time=lambda: 5_000.0))
    clock = WarpClock.starting_now(30.0)
    assert (clock.origin, clock.now()) == (5_000.0, 5_000.0)


def test_an_unwarped_clock_is_the_systems() -> None:
    clock, system = WarpClock(), SystemClock()
    assert clock.now() == pytest.approx(system.now(), abs=1)
    assert clock.monotonic() == pytest.approx(system.monotonic(), abs=1)


Called = list[tuple[Sequence[str], TimeBase]]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    """What `dcu` was called with."""
    found: Called = []

    def cli(words: Sequence[str], *, prog_name: str, obj: Any) -> None:
        assert prog_name == "dcu"
        found.append((words, obj))

    monkeypatch.setattr(warp, "cli", cli)
    return found


def test_a_command_line_of_dcu_runs_inside_faster_time(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["sim.warp", "--speed", "60", "--origin", "1790000000", "--", "dcu", "run", "-c", "x.yaml"]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    ((words, base),) = called
    assert words == ["run", "-c", "x.yaml"]
    assert base.clock == WarpClock(60.0, 1_790_000_000.0)
    assert base.loop_factory is not None
    loop = base.loop_factory()
    assert loop.time() == pytest.approx(60 * time.monotonic(), rel=0.01)
    loop.close()


@pytest.mark.parametrize("words", [[], ["--", "ls"], ["--speed", "2"]])
def test_any_other_program_is_refused(
    called: Called, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sim.warp", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "expected `-- dcu" in capsys.readouterr().err
    assert called == []
