"""A Debian system of its own, booted under its real systemd, for tests of the package.

Makes and caches the root file system and runs commands inside; what is installed there is the business of the tests.
"""

import asyncio
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "containers"
CGROUPS = Path("/sys/fs/cgroup")
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("mmdebstrap", "systemd-nspawn", "nsenter")
BOOT_SECONDS = 60
IFF_UP = 1  # netdevice(7)


class Unavailable(Exception):  # noqa: N818 - no error of ours: the machine has no containers, the test is skipped
    """Why this machine cannot run a container; the text is for people."""


async def run(*command: str | Path, stdin: bytes = b"", check: bool = True) -> str:
    """Run a command on the machine itself and return what it printed, both streams; `check` wants exit code 0."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    try:
        output, _ = await process.communicate(stdin)
    finally:
        await _kill(process)
    text = output.decode(errors="replace")
    if check and process.returncode:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{text}")
    return text


async def debian_root(suite: str, packages: Sequence[str]) -> Path:
    """Return a root file system of `suite` with systemd and `packages`, made once and then cached."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        raise Unavailable("a container needs root")
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)}")
    include = ",".join(("systemd", "systemd-sysv", "dbus", *packages))
    root = CACHE / f"{suite}-{sha256(include.encode()).hexdigest()[:16]}"
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            # whoever is killed half way must not leave /proc and /sys mounted in our tree
            apart = ("unshare", "--mount", "mmdebstrap")
            await run(*apart, "--quiet", "--variant=minbase", f"--include={include}", suite, part)
        except AssertionError as error:
            raise Unavailable(f"no root file system of {suite}: {error}") from error
        (part / "etc/hosts").write_text("127.0.0.1 localhost\n")
        part.rename(root)
    return root


class Container:
    """A booted system. Commands run inside it as root, in all its namespaces."""

    def __init__(self, leader: int) -> None:
        self._enter = ("nsenter", "--target", str(leader), "--all", "env", "-i", PATH)

    async def run(self, *command: str, stdin: bytes = b"", check: bool = True) -> str:
        """Run a command inside and return what it printed, both streams; `check` wants exit code 0."""
        return await run(*self._enter, *command, stdin=stdin, check=check)

    @asynccontextmanager
    async def stream(self, *command: str) -> AsyncIterator[asyncio.StreamReader]:
        """Run a command inside for the length of the block; the reader gives what it prints."""
        process = await asyncio.create_subprocess_exec(*self._enter, *command, stdin=DEVNULL, stdout=PIPE)
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            await _kill(process)

    async def put(self, path: str, content: bytes) -> None:
        """Write a file inside, with the directories that lead to it."""
        await self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1"', "put", path, stdin=content)

    async def unit(self, name: str, *properties: str) -> dict[str, str]:
        """Return properties of a systemd unit, all as text."""
        text = await self.run("systemctl", "show", name, f"--property={','.join(properties)}")
        return dict(line.split("=", 1) for line in text.splitlines())


async def _kill(process: Process) -> None:
    """End a command that still runs: of nsenter its child, which would outlive it and hold up the container's end."""
    if process.returncode is None:
        for pid in _children(process.pid) or [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await process.wait()


def _own_cgroup(name: str) -> list[Path]:
    """Make a cgroup per hierarchy that systemd uses; two containers in one group would share their services."""
    hierarchies = [CGROUPS / "unified", CGROUPS / "systemd"]
    groups = [each / name for each in hierarchies if each.is_dir()] or [CGROUPS / name]
    for group in groups:
        group.mkdir()
    return groups


def _remove_cgroup(group: Path) -> None:
    for directory in sorted(group.glob("**/"), reverse=True):
        directory.rmdir()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_init(pid: int) -> bool:
    """Whether a process is number one of a PID namespace of its own."""
    return re.search(r"^NSpid:\t\d+\t1$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) is not None


async def _leader(nspawn: Process, log: Path) -> int:
    """Return the process that is number one inside; `log` holds what nspawn said when there is none."""
    while nspawn.returncode is None:
        # Before it, nspawn has a child that prepares the mounts and still lives in the namespaces of this machine.
        with suppress(FileNotFoundError):
            for child in filter(_is_init, _children(nspawn.pid)):
                return child
        await asyncio.sleep(0.05)
    raise Unavailable(f"systemd-nspawn does not work here: {log.read_text()}")


async def _booted(container: Container) -> None:
    """Wait until everything that starts at boot has been started. Raises Unavailable when there is no loopback."""
    while True:
        state = (await container.run("systemctl", "is-system-running", "--wait", check=False)).strip()
        if state in {"running", "degraded"}:
            break
        await asyncio.sleep(0.1)
    flags = await container.run("cat", "/sys/class/net/lo/flags")
    if not int(flags, 16) & IFF_UP:
        raise Unavailable("a container's loopback stays down here: CAP_NET_ADMIN is not granted")


@asynccontextmanager
async def boot(root: Path, devices: Mapping[str, Path]) -> AsyncIterator[Container]:
    """Boot `root` without a network and forget its changes; `devices` are nodes of this machine by names inside."""
    name = f"dcu-test-{os.getpid()}"
    groups = _own_cgroup(name)
    join = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
    log = root.with_suffix(".log")
    with log.open("wb") as console:
        nspawn = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'{join}exec systemd-nspawn "$@"', "nspawn", "--quiet", "--boot", f"--directory={root}"),
            *(f"--machine={name}", "--volatile=overlay", "--register=no", "--keep-unit", "--private-network"),
            *("--console=pipe", *(f"--bind={node}:{inside}" for inside, node in devices.items())),
            stdin=DEVNULL,
            stdout=console,
            stderr=STDOUT,
        )
    try:
        async with asyncio.timeout(BOOT_SECONDS):
            container = Container(await _leader(nspawn, log))
            await _booted(container)
        yield container
    finally:
        # Number one, not nspawn: SIGTERM would be an orderly halt, which takes seconds, and nothing in here is kept.
        await _kill(nspawn)
        for group in groups:
            _remove_cgroup(group)
