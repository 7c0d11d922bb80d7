"""Work in a process of its own: its result, its faults, its death, its time."""

import asyncio
import os
import signal
import time

import pytest

from dcu.config.judging import judge
from dcu.config.table import Judged, Standing, Table
from dcu.errors import ConfigError, DcuError
from dcu.host import aside as room
from dcu.host.aside import aside
from dcu.profiles import stream_names


async def test_the_result_comes_back_and_the_process_was_another() -> None:
    assert await aside(os.getpid) != os.getpid()
    assert await aside(divmod, 7, 2) == (3, 1)


async def test_lines_of_the_archive_are_judged_there() -> None:
    table = Table("f", ("id",), (("M1",),), (5,))
    judged = await aside(judge, table, Standing((), (), {}, stream_names, None))
    assert isinstance(judged, Judged)
    assert judged.problems[0] == "f:5: expected the key 'bus'"


async def test_faults_come_back_one_by_one() -> None:
    with pytest.raises(ConfigError) as caught:
        await aside(_raise, ConfigError, "one")
    assert caught.value.problems == ("one",)


def _raise(kind: type[Exception], *words: str) -> None:
    raise kind(*words)


async def test_a_bug_comes_back_with_its_traceback() -> None:
    with pytest.raises(DcuError, match=r"(?s)Traceback.*invalid literal"):
        await aside(int, "no number")


async def test_a_child_that_dies_is_noticed() -> None:
    with pytest.raises(DcuError, match="ended with wait status -9"):
        await aside(signal.raise_signal, signal.SIGKILL)


async def test_a_child_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BOUND", 0.2)
    with pytest.raises(DcuError, match="took more than"):
        await aside(time.sleep, 100)


async def test_a_cancelled_caller_leaves_no_child() -> None:
    waiting = asyncio.create_task(aside(time.sleep, 100))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
