"""Files that people wrote. Those with secrets are tested with the configuration that names them."""

import os
from pathlib import Path

import pytest

from dcu.errors import ConfigError
from dcu.forms import files
from dcu.forms.files import read


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"id: \xff")
    with pytest.raises(ConfigError, match="expected UTF-8 text: invalid start byte at octet 4"):
        read(str(tmp_path / "f"))


def test_what_is_no_file_is_said_to_be_none_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(ConfigError, match="f: expected a regular file"):
        read(str(tmp_path / "f"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(str(tmp_path))


def test_a_file_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE", 10)
    (tmp_path / "f").write_text("x" * 10)
    assert read(str(tmp_path / "f")) == "x" * 10
    (tmp_path / "f").write_text("x" * 11)
    with pytest.raises(ConfigError, match="expected at most 10 octets"):
        read(str(tmp_path / "f"))
