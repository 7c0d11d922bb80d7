"""sd_notify is one datagram to the socket named in the environment."""

import asyncio
import socket
from pathlib import Path

import pytest

from dcu.host.notify import ask_for_time, notify, watchdog_interval


def test_the_service_manager_gets_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


async def test_a_start_that_takes_long_asks_for_time_and_feeds_the_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        asking = asyncio.create_task(ask_for_time())
        await asyncio.sleep(0)
        asking.cancel()
        # while the store is opened anew READY was said long ago, and nobody else feeds
        assert manager.recv(100) == b"EXTEND_TIMEOUT_USEC=30000000\nWATCHDOG=1"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr("socket.socket", None)
    notify("READY=1")
    assert watchdog_interval() is None


def test_the_watchdog_is_fed_twice_per_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_interval() == 15.0
