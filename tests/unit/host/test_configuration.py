"""The configuration from real files, through the child process, and the shipped examples."""

import shutil
import sys
from pathlib import Path

import pytest

from dcu.errors import ConfigError, DcuError
from dcu.host.configuration import load
from dcu.profiles import stream_names
from tests.configurations import GOOD, KEYS, PROFILES

SHIPPED = Path(__file__).parents[3] / "config"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good configuration with its keys."""
    (tmp_path / "dcu.yaml").write_text(GOOD)
    (tmp_path / "keys.yaml").write_text(KEYS)
    (tmp_path / "keys.yaml").chmod(0o640)
    return tmp_path / "dcu.yaml"


def test_a_file_is_loaded(file: Path) -> None:
    config = load(file, lambda _: PROFILES)
    assert [meter.id for meter in config.meters] == ["M0001", "M0002"]
    assert config.keys["M0001"].password == b"secret"


def test_faults_come_back_from_the_child(file: Path) -> None:
    file.write_text(GOOD.replace("id: DCU-0001", "id: /").replace("host:", "hst:"))
    with pytest.raises(ConfigError) as caught:
        load(file, lambda _: PROFILES)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [f"{file}:1", f"{file}:3", f"{file}:2"]


def test_a_bug_in_the_child_is_not_hidden(file: Path) -> None:
    with pytest.raises(DcuError, match="ZeroDivisionError"):
        load(file, lambda _: {"idis": frozenset(str(1 // 0))})


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o641])
def test_secrets_that_are_open_to_others_are_refused(file: Path, mode: int) -> None:
    (file.parent / "keys.yaml").chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load(file, lambda _: PROFILES)
    expected = f"{file}:10: keys: {file.parent}/keys.yaml: holds secrets and has mode {mode:04o}: expected 0640 or 0600"
    assert caught.value.problems == (expected,)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dcu\.yaml: cannot be read: No such file"):
        load(tmp_path / "dcu.yaml", lambda _: PROFILES)


def test_the_shipped_configuration_is_right() -> None:
    config = load(SHIPPED / "dcu.yaml", stream_names)
    assert config.meters == ()
    assert {task.stream for task in config.timetable} == stream_names()["idis"]


def test_the_shipped_examples_are_right_too(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / "keys.yaml", tmp_path / "keys.yaml")
    for name in ("keys.yaml", "dcu.key", "mqtt-password", "ca.pem", "dcu.pem"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o600)
    (tmp_path / "mqtt-password").write_text("secret\n")
    enabled = (SHIPPED / "dcu.yaml").read_text().replace("  #- - ", "  - ").replace("#- ", "")
    (tmp_path / "dcu.yaml").write_text("".join(line for line in enabled.splitlines(keepends=True) if line[0] != "#"))
    config = load(tmp_path / "dcu.yaml", stream_names)
    assert [meter.id for meter in config.meters] == ["M0001", "M0002"]
    assert config.uplink.tls is not None
    assert config.keys["M0002"].encryption_key == bytes(range(16))


def test_the_parent_never_loads_the_parser() -> None:
    """The modules that the daemon imports must not import YAML by the way."""
    import subprocess  # noqa: PLC0415

    code = (
        "import sys, dcu.daemon; from dcu.host.configuration import load; from dcu.profiles import stream_names\n"
        f"load({str(SHIPPED / 'dcu.yaml')!r}, stream_names); sys.exit('yaml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=SHIPPED.parent, check=False).returncode == 0
