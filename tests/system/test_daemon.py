"""The daemon as systemd and an operator meet it: checks, signals, notifications, exit statuses."""

import asyncio
import socket
import sys
import time
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable
from tests.system.playing import Play

TIMETABLE: Timetable = {"instant": (10, 0), "load0": (900, 86_400)}

#: What the unit file allows for an ordered end (TimeoutStopSec), in seconds.
STOP_BOUND = 10.0


async def dcu(*words: str) -> tuple[int | None, str, str]:
    process = await create_subprocess_exec(sys.executable, "-m", "dcu.cli.main", *words, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_check_says_what_a_good_file_holds() -> None:
    code, out, _ = await dcu("check", "-c", "config/dcu.yaml")
    assert code == 0
    assert "good" in out


async def test_check_names_every_fault_with_file_line_key_and_what_was_expected(tmp_path: Path) -> None:
    file = tmp_path / "dcu.yaml"
    file.write_text(
        "dcu: {id: D1}\nuplink: {host: localhost, prot: 1883}\nbuses:\n  - {name: a, port: /dev/x, baud: fast}\n"
    )
    code, _, err = await dcu("check", "-c", str(file))
    assert code == 78
    assert f"{file}:2: uplink.prot" in err
    assert "port" in err
    assert f"{file}:4: buses[0].baud" in err
    assert "expected" in err


async def test_run_refuses_a_wrong_file_with_the_status_that_systemd_does_not_restart(tmp_path: Path) -> None:
    code, _, err = await dcu("run", "-c", str(tmp_path / "missing.yaml"))
    assert code == 78
    assert "missing.yaml" in err


async def test_help_shows_examples() -> None:
    for words in (["--help"], ["run", "--help"], ["check", "--help"]):
        code, out, _ = await dcu(*words)
        assert code == 0
        assert "dcu" in out
    assert "Examples" in (await dcu("--help"))[1]


#: A daemon whose name servers never answer.
NAMELESS = """
import socket, sys, threading
asked = socket.getaddrinfo
def look_up(host, *rest, **more):
    if host in ("nowhere.example", b"nowhere.example"):
        print("asked", flush=True)
        threading.Event().wait()
    return asked(host, *rest, **more)
socket.getaddrinfo = look_up
from dcu.cli.main import main
main()
"""


async def test_a_name_look_up_that_hangs_does_not_spoil_the_end(tmp_path: Path) -> None:
    file = tmp_path / "dcu.yaml"
    file.write_text(
        f"dcu: {{id: D1, data: {tmp_path}, socket: {tmp_path}/s}}\nuplink: {{host: nowhere.example}}\n"
        "buses:\n  - {name: a, port: 'tcp://nowhere.example:4059'}\naccess: {public: {client: 16}}\n"
        "meters:\n  - {id: M1, bus: a, address: 17, access: public, profile: idis}\ntimetable: {instant: {every: 1m}}\n"
        "clock: {require: plausible}\n"
    )
    process = await create_subprocess_exec(sys.executable, "-c", NAMELESS, "run", "-c", str(file), stdout=PIPE)
    assert process.stdout is not None
    asked = 0
    while asked < 2:  # the uplink, and the bus
        line = await process.stdout.readline()
        assert line
        asked += b"asked" in line
    process.terminate()
    start = time.monotonic()
    rest, _ = await process.communicate()
    assert process.returncode == 0, rest
    assert time.monotonic() - start < STOP_BOUND


def test_sigterm_in_the_middle_of_visits_ends_in_order_within_its_bound(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.daemon.start()
        await stage.head.until(lambda: stage.delivered() > 0)
        start = time.monotonic()
        assert await stage.daemon.stop() == 0
        assert time.monotonic() - start < STOP_BOUND
        await stage.head.until(lambda: stage.head.tally.state == "stopped")
        assert "Traceback" not in stage.daemon.said()
        assert not (stage.directory / "dcu.sock").exists()

    play(scenario, Setting(FleetPlan(meters=6, buses=3), TIMETABLE))


def test_systemd_hears_ready_status_watchdog_and_stopping(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)
            manager.bind(str(stage.directory / "notify"))
            await stage.daemon.spawn(NOTIFY_SOCKET=str(stage.directory / "notify"), WATCHDOG_USEC="400000")
            heard: list[str] = []
            async with asyncio.timeout(60):
                while heard.count("WATCHDOG=1") < 3:
                    heard.append((await loop.sock_recv(manager, 4096)).decode())
                await stage.daemon.stop()
                while "STOPPING=1" not in heard:
                    heard.append((await loop.sock_recv(manager, 4096)).decode())
        # whether the start takes long is not known when it begins: time is asked for first
        assert next(word for word in heard if not word.startswith("EXTEND_TIMEOUT_USEC=")) == "READY=1"
        assert any(word.startswith("STATUS=") and "visits" in word for word in heard)

    play(scenario, Setting(FleetPlan(meters=1, buses=1), TIMETABLE))
