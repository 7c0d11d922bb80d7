"""The Debian package under a real systemd: built twice, installed, started, killed, watched and purged."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.system.container import ROOT, Container, Unavailable, boot, debian_root, run

INSIDE = ("python3", "python3-cryptography", "python3-serial", "python3-systemd", "python3-yaml")
BROKER = ("mosquitto", "mosquitto-clients")

pytestmark = pytest.mark.timeout(240)


async def build(output: Path) -> Path:
    await run(ROOT / "scripts" / "build-deb", "--output", output)
    (package,) = output.glob("*.deb")
    return package


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two builds of the same sources, at different moments."""

    async def twice() -> tuple[Path, Path]:
        first, second = (tmp_path_factory.mktemp("build") for _ in range(2))
        return await build(first), await build(second)

    return asyncio.run(twice())


async def installed(container: Container, package: Path) -> None:
    await container.put("/root/dcu.deb", package.read_bytes())
    await container.run("dpkg", "--install", "/root/dcu.deb")


@pytest.fixture
async def container(packages: tuple[Path, Path]) -> AsyncIterator[Container]:
    """A Debian 13 with a broker and the package in it."""
    try:
        root = await debian_root("trixie", INSIDE + BROKER)
        async with boot(root, {}) as container:
            await installed(container, packages[0])
            yield container
    except Unavailable as reason:
        pytest.skip(str(reason))


async def active(container: Container, *, unlike: str = "0") -> dict[str, str]:
    """Wait until the service is up with a main process that is not `unlike`."""
    while True:
        unit = await container.unit("dcu", "ActiveState", "MainPID", "NRestarts", "Result")
        if unit["ActiveState"] == "active" and unit["MainPID"] not in {"0", unlike}:
            return unit
        await asyncio.sleep(0.1)


def test_two_builds_are_identical(packages: tuple[Path, Path]) -> None:
    first, second = (sha256(package.read_bytes()).hexdigest() for package in packages)
    assert first == second


async def test_killed_daemon_is_started_again(container: Container) -> None:
    before = await active(container)
    await container.run("systemctl", "kill", "--signal=KILL", "dcu")
    after = await active(container, unlike=before["MainPID"])
    assert after["NRestarts"] == "1"


async def test_frozen_daemon_is_started_again(container: Container) -> None:
    await container.put("/etc/systemd/system/dcu.service.d/test.conf", b"[Service]\nWatchdogSec=2s\n")
    await container.run("systemctl", "daemon-reload")
    await container.run("systemctl", "restart", "dcu")
    before = await active(container)
    await container.run("systemctl", "kill", "--signal=STOP", "dcu")
    await active(container, unlike=before["MainPID"])
    assert "Watchdog timeout" in await container.run("journalctl", "--unit=dcu", "--no-pager")


async def test_purge_leaves_nothing(container: Container) -> None:
    user = (await container.run("id", "--user", "dcu")).strip()
    await active(container)
    await container.run("dpkg", "--purge", "dcu")
    assert await container.run("find", "/", "-xdev", "-uid", user) == ""
    assert await container.run("find", "/", "-xdev", "-path", "/root", "-prune", "-o", "-name", "*dcu*", "-print") == ""
    assert "dcu" not in await container.run("cat", "/etc/passwd", "/etc/group", "/etc/shadow")
    assert "dcu" not in await container.run("systemctl", "list-units", "--all", "--no-legend")
