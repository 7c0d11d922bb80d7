"""Room that is held back: set apart where there is plenty, given up where there is little, never in the way."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dcu.errors import StoreError
from dcu.store.room import LITTLE, PLENTY, ROOM_OCTETS, make_place


def free(monkeypatch: pytest.MonkeyPatch, octets: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=octets // 512, f_frsize=512))


def test_it_is_held_where_there_is_plenty_and_given_up_where_there_is_little(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = path.with_suffix(".room")
    for octets, there in ((PLENTY - 512, False), (PLENTY, True), (LITTLE, True), (LITTLE - 512, False)):
        free(monkeypatch, octets)
        make_place(path)
        assert held.exists() == there, octets


def test_it_takes_its_place_on_the_disk_and_a_piece_of_it_is_made_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = path.with_suffix(".room")
    held.write_bytes(b"cut short")
    free(monkeypatch, PLENTY)
    make_place(path)
    assert held.stat().st_size == ROOM_OCTETS
    assert held.stat().st_blocks * 512 >= ROOM_OCTETS


def test_a_file_system_that_cannot_is_no_hindrance(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "posix_fallocate", cannot)
    free(monkeypatch, PLENTY)
    make_place(path)
    assert not path.with_suffix(".room").stat().st_size


def test_where_no_directory_can_be_the_store_says_so(path: Path) -> None:
    make_place(path.parent / "new" / "store.db")
    path.touch()
    with pytest.raises(StoreError, match="cannot be made: Not a directory"):
        make_place(path / "below" / "store.db")
