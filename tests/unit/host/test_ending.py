"""The daemon as a process: one for each directory, and its end comes in time."""

import asyncio
from pathlib import Path

import pytest

from dcu.errors import OperatorError
from dcu.host.ending import END_UPLINK, alone, finish, give_up, leave
from sim.virtual import VirtualClock
from tests.lines import virtually


def test_a_data_directory_has_one_daemon(tmp_path: Path) -> None:
    lock = tmp_path / "store.lock"
    with alone(lock), pytest.raises(OperatorError, match="in use"), alone(lock):
        pass
    with alone(lock):  # free again
        pass


def test_an_end_that_does_not_come_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    give_up()
    assert ended == [1]


def test_a_thread_that_asks_for_ever_does_not_spoil_an_end_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    leave()
    assert ended == [0]


def test_a_flow_that_does_not_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(clock: VirtualClock) -> None:
        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(60)

        task = asyncio.create_task(stubborn(), name="stubborn")
        await asyncio.sleep(0)
        await finish([task], END_UPLINK)
        assert clock.monotonic() == END_UPLINK
        await asyncio.wait([task])

    virtually(work)
    assert "stubborn" in capsys.readouterr().out
