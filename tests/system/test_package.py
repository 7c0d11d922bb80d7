"""The Debian package under a real systemd: built, installed, reading meters on a serial line, killed, watched, purged.

The meters and their line are simulated on this machine; the daemon, its broker and its systemd are in a container.
"""

import asyncio
import gzip
import os
import re
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from dcu import __version__
from dcu.cli.manual import page
from dcu.clock import SystemClock
from dcu.obis import parse_obis
from sim.account import right
from sim.fleet import Fleet, FleetPlan
from sim.headend import Tally
from sim.server import MANAGEMENT, READER
from sim.site import Site, write_site
from tests.system.container import ROOT, Container, Unavailable, boot, debian_root, run
from tests.unit.messages.block_vectors import payload

DEBIANS = ("trixie", "bookworm")

#: What debian/control depends on, and a broker that serves the loopback of the container.
INSIDE = ("python3", "python3-cryptography", "python3-serial", "python3-systemd", "python3-yaml")
BROKER = ("mosquitto", "mosquitto-clients")

#: Debian's group of the serial lines (base-passwd gives it this number everywhere).
DIALOUT = 20

#: A pseudo-terminal stands for the line: the sandbox, which knows real lines only, has to let it in.
PTY_ALLOWED = b"[Service]\nDeviceAllow=char-pts rw\n"

PLAN = FleetPlan(meters=4, buses=1, baud=19200, hls=128, seed=3)
TIMETABLE = {"instant": {"every": "10s"}, "load0": {"every": "10s", "backfill": "6h"}}
PROFILES = {"instant": None, "load0": parse_obis("1-0:99.1.0.255")}

PATIENCE = 60

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two builds of the same sources, one after the other."""
    if os.geteuid() != 0:
        pytest.skip("building the package for the container needs root")

    async def build() -> Path:
        output = tmp_path_factory.mktemp("build")
        await run(ROOT / "scripts" / "build-deb", "--output", output)
        (package,) = output.glob("dcu_*.deb")
        return package

    return asyncio.run(build()), asyncio.run(build())


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    """Meters on a pty that the group of the serial lines may open."""
    async with Fleet(PLAN, SystemClock()) as fleet:
        (bus,) = fleet.wires
        os.chown(bus.path, -1, DIALOUT)
        Path(bus.path).chmod(0o660)
        yield fleet


@pytest.fixture(params=DEBIANS[:1])
async def container(
    request: pytest.FixtureRequest, packages: tuple[Path, Path], fleet: Fleet
) -> AsyncIterator[Container]:
    """A Debian with a broker, the fleet's line as /dev/ttyS1, and the package installed as it comes."""
    try:
        root = await debian_root(request.param, INSIDE + BROKER)
        async with boot(root, {"/dev/ttyS1": Path(fleet.wires[0].path)}) as container:
            await container.put("/root/dcu.deb", packages[0].read_bytes())
            await container.run("dpkg", "--install", "/root/dcu.deb")
            yield container
    except Unavailable as reason:
        pytest.skip(str(reason))


async def configure(container: Container, fleet: Fleet, directory: Path) -> None:
    """Do what an operator does: write the two files, and restart."""
    text = write_site(fleet, Site(timetable=TIMETABLE), directory).read_text()
    text = text.replace("data: data", "data: /var/lib/dcu").replace("dcu.sock", "/run/dcu/dcu.sock")
    text = text.replace(fleet.wires[0].path, "/dev/ttyS1")
    await container.put("/etc/dcu/dcu.yaml", text.encode())
    await container.put("/etc/dcu/keys.yaml", (directory / "keys.yaml").read_bytes())
    await container.run("chmod", "640", "/etc/dcu/keys.yaml")
    await container.put("/etc/systemd/system/dcu.service.d/pty.conf", PTY_ALLOWED)
    await container.run("systemctl", "daemon-reload")
    await container.run("systemctl", "restart", "dcu")


async def service(container: Container, *, unlike: str = "0") -> dict[str, str]:
    """Wait until the service is up with a main process that is not `unlike`, and return its properties."""
    async with asyncio.timeout(PATIENCE):
        while True:
            unit = await container.unit("dcu", "ActiveState", "MainPID", "NRestarts", "StatusText", "User")
            if unit["ActiveState"] == "active" and unit["MainPID"] not in {"0", unlike}:
                return unit
            await asyncio.sleep(0.1)


async def journal(container: Container) -> str:
    return await container.run("journalctl", "--unit=dcu", "--no-pager", "--output=cat")


async def follow(container: Container, tally: Tally, until: Callable[[], bool]) -> None:
    """Subscribe as the head-end does, and count what comes until a condition holds."""
    async with container.stream("mosquitto_sub", "-q", "1", "-t", "ami/v1/DCU-0001/#", "-F", "%t %x") as lines:
        try:
            async with asyncio.timeout(PATIENCE):
                while not until():
                    topic, space, payload = (await lines.readline()).partition(b" ")
                    assert space, "the subscriber ended"
                    tally.take(topic.decode().removeprefix("ami/v1/DCU-0001/"), bytes.fromhex(payload.decode()))
        except TimeoutError:
            pytest.fail(f"came: {tally.captures.keys()}, {tally.states}\n{await journal(container)}")


def test_version_is_that_of_the_program() -> None:
    first_line, _, _ = (ROOT / "debian" / "changelog").read_text().partition("\n")
    assert first_line.startswith(f"dcu ({__version__}) ")


def test_two_builds_are_identical(packages: tuple[Path, Path]) -> None:
    first, second = (sha256(package.read_bytes()).hexdigest() for package in packages)
    assert first == second


#: What a head-end does with its library: nothing of the daemon, of its dependencies or of anybody's packages is there.
HEAD_END = """
import sys
sys.path.insert(0, sys.argv[1])
from dcu_headend import Asking, Follower, decode
from dcu_headend.commands import command
block, follower = decode(sys.stdin.buffer.read()), Follower()
assert follower.took(block) and not follower.took(block)
follower.heard(decode(b'{"dcu": "D1", "boot": "b", "state": "online", "owed": {"load0": 1769860800001}}'))
print(len(block.captures), follower.acknowledgements()[block.dcu].decode(), list(Asking(follower).wishes()))
assert command("dcu.ping")[1]
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(sorted(foreign))
"""


async def test_both_programs_have_their_manual_page(packages: tuple[Path, Path], tmp_path: Path) -> None:
    await run("dpkg-deb", "--extract", packages[0], tmp_path)
    pages = tmp_path / "usr/share/man/man1"
    for program in ("dcu", "dcuctl"):
        assert gzip.decompress((pages / f"{program}.1.gz").read_bytes()).decode() == page(program)
    assert {file.name for file in (tmp_path / "usr/bin").iterdir()} == {"dcu", "dcuctl"}


async def test_the_head_ends_library_is_installed_and_used_by_itself(
    packages: tuple[Path, Path], tmp_path: Path
) -> None:
    (package,) = packages[0].parent.glob("dcu-headend_*.deb")
    depends = (await run("dpkg-deb", "--field", package, "Depends")).strip()
    assert re.fullmatch(r"python3:any( \([^()]*\))?", depends), depends
    await run("dpkg-deb", "--extract", package, tmp_path)
    # neither the environment nor any site's packages
    command = ("python3", "-I", "-S", "-c", HEAD_END, tmp_path / "usr/lib/python3/dist-packages")
    said = await run(*command, stdin=payload("two meters, four rows each"))
    assert said.splitlines() == ['8 {"streams": {"load0": 1769860800001}} []', "['__main__', 'dcu_headend']"]


@pytest.mark.parametrize("container", DEBIANS, indirect=True)
async def test_readings_arrive_at_the_broker(container: Container, fleet: Fleet, tmp_path: Path) -> None:
    await configure(container, fleet, tmp_path)
    tally = Tally()
    wanted = {(meter.id, stream) for meter in fleet.meters for stream in TIMETABLE}
    await follow(container, tally, lambda: wanted <= {(meter, stream) for meter, stream, _ in tally.captures})
    assert {meter.access for meter in fleet.archive} == {READER.name, MANAGEMENT.name}
    for received in tally.captures.values():
        assert right(fleet.meter(received.meter), received, PROFILES[received.stream]), received
    unit = await service(container)
    assert unit["User"] == "dcu"
    assert unit["StatusText"]
    assert "DCU-0001" in await container.run("dcuctl", "status")


async def test_sandbox_is_tight(container: Container) -> None:
    # Exposure in tenths, as systemd-analyze computes it; above, it fails.
    told = await container.run("systemd-analyze", "security", "--threshold=20", "--no-pager", "dcu.service")
    assert "exposure level for dcu.service" in told


async def test_killed_daemon_is_started_again(container: Container) -> None:
    before = await service(container)
    await container.run("systemctl", "kill", "--signal=KILL", "dcu")
    after = await service(container, unlike=before["MainPID"])
    assert after["NRestarts"] == "1"


async def test_frozen_daemon_is_started_again(container: Container) -> None:
    await container.put("/etc/systemd/system/dcu.service.d/watchdog.conf", b"[Service]\nWatchdogSec=2s\n")
    await container.run("systemctl", "daemon-reload")
    await container.run("systemctl", "restart", "dcu")
    before = await service(container)
    await container.run("systemctl", "kill", "--signal=STOP", "dcu")
    await service(container, unlike=before["MainPID"])
    assert "Watchdog timeout" in await journal(container)


async def test_wrong_configuration_waits_for_its_operator(container: Container) -> None:
    await container.put("/etc/dcu/dcu.yaml", b"dcu: {id: DCU-0001, logs: info}\n")
    await container.run("systemctl", "restart", "dcu", check=False)
    unit = await container.unit("dcu", "ActiveState", "ExecMainStatus", "NRestarts")
    assert unit == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    assert "/etc/dcu/dcu.yaml:1: dcu.logs" in await journal(container)


async def test_purge_leaves_nothing(container: Container) -> None:
    user = (await container.run("id", "--user", "dcu")).strip()
    await service(container)
    await container.run("dpkg", "--purge", "dcu")
    assert await container.run("find", "/", "-xdev", "-uid", user) == ""
    assert await container.run("find", "/", "-xdev", "-path", "/root", "-prune", "-o", "-name", "*dcu*", "-print") == ""
    assert "dcu" not in await container.run("cat", "/etc/passwd", "/etc/group", "/etc/shadow")
    assert "dcu" not in await container.run("systemctl", "list-units", "--all", "--no-legend")
