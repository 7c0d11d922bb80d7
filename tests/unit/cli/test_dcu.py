"""`dcu` as an operator types it: what it says, where it says it, and how it ends."""

import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcu import __version__
from dcu.cli import dcu, running
from dcu.config import Config
from dcu.errors import DcuError, StoreError
from dcu.serving import REAL_TIME, TimeBase
from tests.captures import SetClock
from tests.certificates import Authority

CONFIG = """\
dcu: {{id: DCU-0001, data: {data}, socket: {socket}, log: warning}}
uplink: {{host: localhost}}
buses:
  - {{name: rs485-1, port: /dev/null}}
  - {{name: gateway, port: "tcp://10.0.0.7:4059", framing: wrapper}}
access:
  public: {{client: 16, authentication: none}}
meters:
  - {{id: M0001, bus: rs485-1, address: 17, access: public, profile: idis}}
  - {{id: M0002, bus: gateway, address: 1, access: public, profile: idis}}
timetable:
  instant: {{every: 5m}}
  load0: {{every: 15m, offset: 60s, backfill: 1d}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dcu.yaml"
    path.write_text(CONFIG.format(data=tmp_path / "data", socket=tmp_path / "s"))
    return path


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The log levels that were set; the loggers of this process stay as they are."""
    found: list[str] = []
    monkeypatch.setattr(running, "set_up_logs", found.append)
    return found


def invoke(*words: str, base: TimeBase | None = None) -> Result:
    return CliRunner().invoke(dcu.cli, words, obj=base)


Served = list[tuple[Config, TimeBase]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, levels: list[str]) -> Served:
    """What `serve` was called with."""
    found: Served = []
    monkeypatch.setattr("dcu.serving.serve", lambda config, base: found.append((config, base)))
    return found


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def serve(config: Config, base: TimeBase) -> None:
        raise error

    monkeypatch.setattr("dcu.serving.serve", serve)


def test_a_good_file_is_described(file: Path) -> None:
    found = invoke("check", "-c", str(file))
    assert (found.exit_code, found.stderr) == (0, "")
    assert f"{file}: good: 2 meters on 2 buses" in found.stdout
    assert invoke("check", str(file)).stdout == found.stdout
    assert "rs485-1" in found.stdout
    assert "tcp://10.0.0.7:4059" in found.stdout
    assert "load0            every 900 s, offset 60 s" in found.stdout


def test_files_of_tls_that_cannot_be_used_are_found_out_before_the_daemon_runs(file: Path, tmp_path: Path) -> None:
    ca = Authority(tmp_path).path
    file.write_text(file.read_text().replace("host: localhost", "host: localhost, tls: {ca: dcu.yaml}"))
    found = invoke("check", "-c", str(file))
    assert (found.exit_code, found.stdout) == (running.EXIT_CONFIG, "")
    assert f"{file}: uplink.tls: {file}: no certificate in PEM\ndcu: 1 problem" in found.stderr
    file.write_text(file.read_text().replace("{ca: dcu.yaml}", f"{{ca: {ca.name}}}"))
    assert invoke("check", "-c", str(file)).exit_code == 0


def test_a_bus_without_enough_time_is_warned_of(file: Path) -> None:
    file.write_text(file.read_text().replace("/dev/null}", "/dev/null, baud: 300}"))
    found = invoke("check", "-c", str(file))
    assert found.exit_code == 0
    assert "% of its time" in found.stdout
    assert found.stderr == ""
    file.write_text(file.read_text().replace("every: 5m", "every: 10s"))
    assert "warning: bus rs485-1: the timetable needs" in invoke("check", "-c", str(file)).stderr


def test_a_port_that_is_not_here_is_warned_of_and_no_fault(file: Path) -> None:
    file.write_text(file.read_text().replace("/dev/null", "/dev/none"))
    found = invoke("check", "-c", str(file))
    assert (found.exit_code, found.stderr) == (0, "warning: bus rs485-1: there is no /dev/none here\n")


def test_what_root_reads_and_the_service_cannot_is_warned_of(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.yaml").write_text("default: {}")
    (tmp_path / "keys.yaml").chmod(0o600)
    file.write_text(file.read_text() + "keys: keys.yaml\n")
    entry = pwd.getpwuid(os.getuid())
    become: list[object] = []
    monkeypatch.setattr(dcu, "SERVICE", entry.pw_name)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("initgroups", "setgid"):
        monkeypatch.setattr(os, name, lambda *_: become.append(_))
    monkeypatch.setattr(os, "setuid", become.append)
    assert invoke("check", "-c", str(file)).stderr == ""
    # in the child whose rights are dropped, and there alone, the file is out of reach
    monkeypatch.setattr(os, "setuid", lambda _: (tmp_path / "keys.yaml").rename(tmp_path / "hidden"))
    found = invoke("check", "-c", str(file))
    assert found.exit_code == 0
    words = f"{file}:14: keys: {tmp_path}/keys.yaml: cannot be read: No such file or directory"
    assert found.stderr == f"warning: the service runs as {entry.pw_name}: {words}\n"
    assert become == [], "nothing but the child changes"


@pytest.mark.parametrize(("who", "service"), [(0, "nobody-is-called-so"), (1000, pwd.getpwuid(os.getuid()).pw_name)])
def test_rights_are_looked_at_by_root_and_where_there_is_a_service(
    file: Path, who: int, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcu, "SERVICE", service)
    monkeypatch.setattr(os, "geteuid", lambda: who)
    monkeypatch.setattr(dcu, "load_as", lambda *_: pytest.fail("nobody asked"))
    assert invoke("check", "-c", str(file)).stderr == ""


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_fault_of_a_bad_file_is_said_and_counted(file: Path, served: Served, command: str) -> None:
    file.write_text(file.read_text().replace("address: 17", "address: x").replace("host:", "hots:"))
    found = invoke(command, "--config", str(file))
    assert found.exit_code == running.EXIT_CONFIG == 78
    assert f"{file}:2: uplink.hots" in found.stderr
    assert f"{file}:9: meters[0].address" in found.stderr
    assert found.stderr.rstrip().endswith("problems in the configuration")
    assert (found.stdout, served) == ("", [])


def test_one_problem_is_not_called_problems(tmp_path: Path) -> None:
    found = invoke("check", "-c", str(tmp_path / "none.yaml"))
    assert found.exit_code == 78
    assert found.stderr.endswith("dcu: 1 problem in the configuration\n")


def test_the_daemon_runs_with_the_file_and_its_log_level(file: Path, served: Served, levels: list[str]) -> None:
    found = invoke("run", "-c", str(file))
    assert (found.exit_code, found.output) == (0, "")
    ((config, base),) = served
    assert (config.dcu.id, len(config.meters)) == ("DCU-0001", 2)
    assert base is REAL_TIME
    assert levels == ["warning"]


def test_a_simulation_brings_its_own_time(file: Path, served: Served) -> None:
    base = TimeBase(SetClock())
    assert invoke("run", "-c", str(file), base=base).exit_code == 0
    assert served[0][1] is base


@pytest.mark.parametrize(
    "error",
    [
        StoreError("/data/store.db: disk full"),
        ExceptionGroup("", [StoreError("/data/store.db: disk full")]),
    ],
    ids=["alone", "from a task"],
)
def test_what_somebody_has_to_mend_is_said_without_a_traceback(
    file: Path, monkeypatch: pytest.MonkeyPatch, levels: list[str], error: Exception
) -> None:
    failing(monkeypatch, error)
    found = invoke("run", "-c", str(file))
    assert found.exit_code == running.EXIT_FAILED == 1
    assert found.stderr == "dcu: /data/store.db: disk full (to be mended by: storage)\n"


def test_our_own_mistake_is_not_hidden(file: Path, monkeypatch: pytest.MonkeyPatch, levels: list[str]) -> None:
    failing(monkeypatch, KeyError("mistake"))
    found = invoke("run", "-c", str(file))
    assert found.exit_code == 1
    assert found.exception is not None
    assert not isinstance(found.exception, DcuError | SystemExit)


def test_a_daemon_that_cannot_open_its_socket_ends_with_the_reason(
    file: Path, tmp_path: Path, levels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(CONFIG.format(data=tmp_path / "data", socket=tmp_path / "none" / "s"))
    found = invoke("run", "-c", str(file))
    assert found.exit_code == 1
    assert f"dcu: {tmp_path}/none/s: cannot open the local socket" in found.stderr
    assert "Traceback" not in found.output


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",), ("check", "-h"), ("run", "--help")])
def test_help_is_one_word_away(words: tuple[str, ...]) -> None:
    found = invoke(*words)
    assert "Usage:" in found.output
    assert "dcu" in found.output


def test_it_knows_its_version() -> None:
    assert invoke("--version").output == f"dcu, version {__version__}\n"


def test_the_profiles_are_listed_with_their_files_and_who_follows_them(file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "maker.yaml").write_text("{extends: idis, streams: {hourly: {object: 1-0:99.4.0.255}}}")
    file.write_text(file.read_text().replace("log: warning", "log: warning, profiles_dir: mine"))
    found = invoke("profiles", "-c", str(file))
    assert (found.exit_code, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert next(line for line in lines if line.startswith("idis ")).split()[1:3] == ["2", "meters"]
    at = next(number for number, line in enumerate(lines) if line.startswith("maker "))
    assert lines[at].endswith(str(tmp_path / "mine" / "maker.yaml"))
    assert "hourly" in lines[at + 1].split()


def test_before_there_is_a_configuration_the_profiles_are_listed_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = str(tmp_path / "none.yaml")
    monkeypatch.setattr(dcu.cli.commands["profiles"].params[0], "default", missing)
    found = invoke("profiles")
    assert (found.exit_code, found.stderr) == (0, f"there is no {missing} yet, which would say who follows them\n")
    assert "idis" in found.stdout
    assert invoke("profiles", "-c", missing).exit_code == running.EXIT_CONFIG


def test_a_faulty_profile_is_a_problem_of_the_configuration(file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "maker.yaml").write_text("extends: idis\nstreams: {hourly: {}}")
    file.write_text(file.read_text().replace("log: warning", "log: warnings, profiles_dir: mine"))
    found = invoke("check", "-c", str(file))
    assert found.exit_code == running.EXIT_CONFIG
    file.write_text(file.read_text().replace("log: warnings", "log: warning"))
    found = invoke("check", "-c", str(file))
    assert found.exit_code == running.EXIT_CONFIG
    assert f"{tmp_path}/mine/maker.yaml:2: streams.hourly: expected the key 'object'" in found.stderr
