"""The stage of the system tests needs a real broker."""

from pathlib import Path

import pytest

from sim.broker import mosquitto
from tests.system.playing import Play, play_in


@pytest.fixture
def play(tmp_path: Path) -> Play:
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto (scripts/test does, as root)")
    return play_in(tmp_path)
