"""What the process says before anything runs in it; signals and restarts are in the system tests."""

from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.serving import serve
from tests.configurations import good, parsed


def test_a_data_directory_that_cannot_be_made_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = parsed(good("dcu: {id: DCU-0001}", f"dcu: {{id: DCU-0001, data: {tmp_path}/file/data}}"))
    with pytest.raises(StoreError, match="file/data: cannot be made"):
        serve(config)
