"""What is lost when the store's process is killed at any moment, and when the power goes: nothing may be.

What the client accepts that it must not is counted in `bench.tampering`, what it cannot bear in `bench.hostile`.

A process uses every part of the store and says what it was promised; it is killed, and what it left is held against all
promises of all rounds (`bench.promises`). For power cuts its disk is recorded, and what may be left of it at random
moments is made (`bench.power`); what is found there is held against what had been promised by then.
"""

import asyncio
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from bench.figures import Figure
from bench.hostile import offered as offered_to_all
from bench.power import Disk, Record, cuts, records
from bench.promises import Witness, reports
from bench.tampering import accepted

ROOT = Path(__file__).parents[1]

#: Rounds of kills and of cuts, some ten minutes; several cuts are made of one recorded run.
KILLS, CUTS, CUTS_OF_RUN = 200, 400, 10
QUICK_KILLS, QUICK_CUTS = 15, 40

#: Answers that are tampered with, each in as many ways as it has bits and more.
ROUNDS, QUICK_ROUNDS = 200, 10

#: Inputs that nobody meant, at each door.
INPUTS, QUICK_INPUTS = 8000, 400

#: Records within which a damaged file is set aside and a new one begun.
SET_ASIDE = 60

#: Reports after which a process is killed, and the milliseconds that may pass besides.
REPORTS, MOMENT = 400, 5.0


def killed(path: Path, dice: random.Random, log: Path | None = None) -> list[list[Any]]:
    """Run a process at work on `path`, kill it at a random moment, and return what it said."""
    command = [sys.executable, "-m", "bench.promises", str(path), *([str(log)] if log else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        lines = []
        if log is None:
            lines = [child.stdout.readline() for _ in range(dice.randrange(1, REPORTS))]
        else:
            _await_size(child, log, dice.randrange(50_000, 1_500_000))
        time.sleep(dice.uniform(0, MOMENT) / 1000)
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    if child.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the process at work ended by itself, with {child.returncode}")
    return list(reports(lines))


def _await_size(child: subprocess.Popen[bytes], log: Path, octets: int) -> None:
    while child.poll() is None and (not log.exists() or log.stat().st_size < octets):
        time.sleep(0.01)


def kill_rounds(rounds: int, dice: random.Random) -> list[str]:
    """Return what was broken in `rounds` kills of processes that work on one store after the other."""
    witness = Witness()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "store.db"
        for _ in range(rounds):
            for report in killed(path, dice):
                witness.take(*report)
            asyncio.run(witness.question(path))
    return witness.faults


def cut_rounds(rounds: int, dice: random.Random) -> list[str]:
    """Return what was broken in `rounds` power cuts."""
    return [fault for faults in _cut_rounds(rounds, dice) for fault in faults]


def _cut_rounds(rounds: int, dice: random.Random) -> Iterator[list[str]]:
    while rounds > 0:
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "log"
            data = Path(directory) / "data"
            data.mkdir()
            killed(data / "store.db", dice, log)
            yield from _questioned(Path(directory), cuts(log, min(rounds, CUTS_OF_RUN), dice), dice)
        rounds -= CUTS_OF_RUN


def aside_rounds(rounds: int, dice: random.Random) -> list[str]:
    """Return what was broken in `rounds` power cuts while a store with a log is set aside as a damaged one."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        data = Path(directory) / "data"
        data.mkdir()
        killed(data / "store.db", dice, log)
        with log.open("rb") as file:
            before = sum(1 for _ in records(file))
        command = [sys.executable, "-m", "bench.promises", str(data / "store.db"), str(log), "damaged"]
        subprocess.run(command, cwd=ROOT, check=True)
        moments = cuts(log, rounds, dice, (before, before + SET_ASIDE))
        return [fault for faults in _questioned(Path(directory), moments, dice) for fault in faults]


def _questioned(
    directory: Path, moments: Iterable[tuple[Disk, Sequence[Record]]], dice: random.Random
) -> Iterator[list[str]]:
    """Yield what is found to be broken at each of these moments."""
    for number, (disk, promised) in enumerate(moments):
        left = directory / f"cut-{number}"
        left.mkdir()
        disk.cut(left, dice)
        witness = Witness()
        for promise in promised:
            witness.take(*promise)
        asyncio.run(witness.question(left / "store.db"))
        yield witness.faults


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the shape of every benchmark
    """Kill and cut; print what was broken."""
    dice = random.Random(2026)
    kills, power = (QUICK_KILLS, QUICK_CUTS) if quick else (KILLS, CUTS)
    print(
        f"method: {kills} kills of a process that works on one store, {power} power cuts of recorded disks: of what was"
    )
    print(
        "        not synchronised any set of sectors of 512 octets is left, of names any beginning; see bench/power.py"
    )
    faults = kill_rounds(kills, dice) + cut_rounds(power, dice) + aside_rounds(power, dice)
    print("        as many cuts while the store is set aside as a damaged one")
    print(*faults, sep="\n")
    offered, taken = accepted(QUICK_ROUNDS if quick else ROUNDS)
    print(f"{offered} answers and frames offered that were tampered with, replayed, misaddressed or stale")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # each refusal would be told
    hostile = offered_to_all(QUICK_INPUTS if quick else INPUTS)
    print(f"{hostile.inputs} hostile inputs offered to bus, broker, configuration and socket")
    print(*hostile.faults, sep="\n")
    counts = {"lost": len(faults), "accepted": taken, "hostile": len(hostile.faults)}
    return [Figure("faults", metric, count) for metric, count in counts.items()]
