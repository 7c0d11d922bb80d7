"""What the process says before anything runs in it; signals and restarts are in the system tests."""

import asyncio
import socket
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.serving import serve
from dcu.store import Store
from tests.configurations import good, parsed


def test_a_data_directory_that_cannot_be_made_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = parsed(good("dcu: {id: DCU-0001}", f"dcu: {{id: DCU-0001, data: {tmp_path}/file/data}}"))
    with pytest.raises(StoreError, match="file/data: cannot be made"):
        serve(config)


def test_time_is_asked_for_whenever_the_store_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once READY was said, nobody else feeds the watchdog until the daemon runs again."""
    config = parsed(good("dcu: {id: DCU-0001}", f"dcu: {{id: DCU-0001, data: {tmp_path}/data}}"))
    opened: list[tuple[bytes, bool]] = []

    class Damaged:
        """A daemon that finds its store damaged, and the new one sound."""

        def __init__(self, _config: object, _profiles: object, store: Store, *_: object, **__: object) -> None:
            self._store = store

        async def run(self, stop: asyncio.Event) -> None:
            opened.append((manager.recv(100), self._store.database.mishap is not None))
            if len(opened) > 1:
                stop.set()
                return
            raise self._store.database.damaged("a page failed its check")

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr("dcu.serving.Daemon", Damaged)
        for ours in ("one_pool", "leave"):  # they are for the whole process, which is not ours here
            monkeypatch.setattr(f"dcu.serving.{ours}", lambda: None)
        serve(config)
    asked = b"EXTEND_TIMEOUT_USEC=30000000\nWATCHDOG=1"
    assert opened == [(asked, False), (asked, True)]
