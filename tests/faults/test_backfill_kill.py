"""The power goes in the middle of a backfill, again and again: it goes on where it was, nothing is lost or doubled.

The daemon's collecting side runs in a process of its own, on simulated meters in virtual time and a real store, and is
killed after it has reported so many captures.
"""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from bench.collecting import Collecting, play, setup_of
from dcu.model import Reason
from sim.fleet import FleetPlan
from sim.profiles import LOAD_0

ROOT = Path(__file__).parents[2]

#: Just behind a quarter of an hour.
ORIGIN = 1_790_000_100.0
DAYS = 86_400

PLAN = FleetPlan(meters=2, buses=1, hls=0)
TIMETABLE = {"load0": (900, 20 * DAYS)}
ROWS = 2 * 20 * 96

DAEMON = textwrap.dedent("""
    import asyncio, os, sys
    from pathlib import Path
    from bench.collecting import play, setup_of
    from tests.faults.test_backfill_kill import PLAN, TIMETABLE

    async def scenario(site):
        async def report():
            while True:
                [(stored,)] = await site.store.database.read("SELECT coalesce(sum(rows), 0) FROM segments")
                os.write(1, f"{stored}\\n".encode())
                await asyncio.sleep(0.1)

        reporting = asyncio.create_task(report())
        await site.collect(3600.0)

    play(setup_of(PLAN, TIMETABLE), Path(sys.argv[1]), scenario, origin=float(sys.argv[2]))
""")


def run_and_kill(directory: Path, origin: float, rows: int) -> int:
    """Collect until at least `rows` captures were reported, kill the process, and return how many were."""
    command = [sys.executable, "-c", DAEMON, str(directory), str(origin)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        stored = 0
        for line in child.stdout:
            stored = json.loads(line)
            if stored >= rows:
                break
        child.send_signal(signal.SIGKILL)
        child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    return stored


def test_a_backfill_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    stored = 0
    for number, rows in enumerate((1, ROWS // 5, ROWS // 2, ROWS * 3 // 4)):
        reported = run_and_kill(tmp_path, ORIGIN + 60.0 * number, rows)
        assert stored <= reported < ROWS, "it has to be cut off before it is done"
        stored = reported

    async def scenario(site: Collecting) -> None:
        left = await site.store.ledger.unread()
        assert len(left) == 2, "the past of both meters is under way"
        await site.collect(3600.0)
        assert await site.store.ledger.unread() == {}
        assert [line for line in await site.store.ledger.gaps([]) if line.reason is not Reason.PENDING] == []
        given = sum(meter.given[LOAD_0] for meter in site.fleet.meters)
        # a slice whose answer was on the way is asked for again, and the row that a slice's border cuts in two
        assert given <= ROWS - stored + 2 * (96 + 20) + 16, "what was stored was not asked for again"
        (line,) = await site.account(TIMETABLE)
        assert (line.wrong, line.missing) == (0, 0)
        assert line.expected <= line.stored == line.delivered <= line.expected + 16

    play(setup_of(PLAN, TIMETABLE), tmp_path, scenario, origin=ORIGIN + 600.0)
