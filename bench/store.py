"""What keeping a capture costs the flash: octets written and held, and whether questions cost more as more is held.

1024 meters, 8 columns, four rows a visit. Three lines bring the visits, each as long as one over an association kept
open takes for the rows alone (0.28 s at 9600 Bd), in time lapse; one meter in eight is behind IP, all of those answer
within a second. The store gathers what comes as it does in the daemon.
Written is what /proc/self/io counts (whole pages of 4096 octets), until the store is closed and its log copied.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.figures import Figure
from dcu.clock import SystemClock
from dcu.model import Capture, Column
from dcu.plan.ledger import Asked
from dcu.store import BLOCK_ROWS, Store
from dcu.store.writer import PATIENCE
from sim.household import Channel, Household, noise

METERS, BEHIND_IP, LINES, ROWS, PERIOD = 1024, 128, 3, 4, 900
ORIGIN = 1_789_948_800

#: Where sweeps begin: a new day writes a row more of each meter, once in 24.
MORNING = ORIGIN + 7200

#: Of a visit for four rows, and how much faster than life it is played.
VISIT = 0.28
LAPSE = 20

STREAM = "load0"
COLUMNS = tuple(
    Column(3, bytes([1, 0, group, attribute, 0, 255]), scaler=0, unit=30)
    for group, attribute in ((1, 8), (2, 8), (3, 8), (4, 8), (32, 7), (31, 7), (13, 7), (14, 7))
)

#: Visits of one commit where nobody waits for lines: what they bring in the time that a reading may wait.
COMPANY = int(LINES * PATIENCE / VISIT)

DAY = 86_400


def capture(meter: int, at: int, read_at: float) -> Capture:
    """Return the row that a household's meter holds of `at`: energies, voltage, current, power factor, frequency."""
    home = Household(1, f"M{meter:04}", solar=meter % 8 == 0)
    bought, power = home.imported(at), home.demand(at)
    volts = 2300 + noise(meter, at) % 60 - 30
    values = (
        bought,
        home.energy(Channel.EXPORT, at),
        bought // 4 + noise(meter, at // DAY) % 20,
        bought // 50,
        volts,
        power * 1000 // volts,
        930 + noise(at, meter, 1) % 60,
        4998 + noise(at) % 5,
    )
    return Capture(f"M{meter:04}", STREAM, at, 0, values, COLUMNS, read_at, -0.375, trusted=True)


@dataclass(slots=True)
class Fleet:
    """Brings the rows of all meters, in the order of visits."""

    store: Store
    rows: int = ROWS

    async def visit(self, meter: int, end: int) -> None:
        times = range(end - (self.rows - 1) * PERIOD, end + 1, PERIOD)
        captures = [capture(meter, at, end + 30.0 + meter * VISIT / LINES) for at in times]
        asked = {(f"M{meter:04}", STREAM): [Asked(times[0], end, PERIOD, since=times[0])]}
        await self.store.readings.record(captures, {}, {}, asked, patient=True)

    async def sweep(self, end: int) -> None:
        """Let three lines go through their meters, and the others come by IP; none waits for the store."""
        async with asyncio.TaskGroup() as visits:

            async def line(meters: range, visit: float) -> None:
                for meter in meters:
                    await asyncio.sleep(visit / LAPSE)
                    visits.create_task(self.visit(meter, end))

            async with asyncio.TaskGroup() as lines:
                for number in range(LINES):
                    lines.create_task(line(range(number, METERS - BEHIND_IP, LINES), VISIT))
                lines.create_task(line(range(METERS - BEHIND_IP, METERS), 1 / BEHIND_IP))

    async def hour(self, end: int) -> None:
        """Bring the rows of an hour as fast as they are taken, by commits of the same company."""
        meters = iter(range(METERS))
        while some := list(islice(meters, COMPANY)):
            await asyncio.gather(*(self.visit(meter, end) for meter in some))


def written() -> int:
    """Return the octets this process has had written to disks so far."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        asyncio.run(_wear(Path(folder) / "single.db", 1, 1))
        octets = asyncio.run(_wear(Path(folder) / "wear.db", ROWS, 4 if quick else 12))
        days = asyncio.run(_fill(Path(folder) / "full.db", 1 if quick else 7))
    return [Figure("store", "write_bytes", octets), Figure("store", "days_per_gb", days)]


async def _wear(path: Path, rows: int, sweeps: int) -> float:
    """Return the octets written per capture in `sweeps` sweeps of visits with `rows` rows each."""
    async with Store.open(path, SystemClock(), patience=PATIENCE / LAPSE) as store:
        await Fleet(store, rows).sweep(MORNING)  # names, layouts and marks come into being once
    before = written()
    async with Store.open(path, SystemClock(), patience=PATIENCE / LAPSE) as store:
        for number in range(1, sweeps + 1):
            await Fleet(store, rows).sweep(MORNING + number * rows * PERIOD)
    octets = (written() - before) / (sweeps * METERS * rows)
    print(f"{sweeps} sweeps with {rows} rows a visit: {octets:.1f} octets written per capture")
    return octets


async def _fill(path: Path, days: int) -> float:
    """Return the days of all meters in 10^9 octets; on the way, ask a nearly empty and a full store."""
    async with Store.open(path, SystemClock()) as store:
        fleet = Fleet(store)
        await fleet.hour(ORIGIN)
        await _ask(store, "an hour")
        before = await store.database.size()
        hours = days * DAY // (ROWS * PERIOD)
        for number in range(1, hours + 1):
            await fleet.hour(ORIGIN + number * ROWS * PERIOD)
        octets = (await store.database.size() - before) / (hours * METERS * ROWS)
        await _ask(store, f"{days} days")
    found = 1e9 / (octets * METERS * DAY / PERIOD)
    print(f"{octets:.1f} octets held per capture: {found:.0f} days of {METERS} meters in a GB")
    return found


async def _ask(store: Store, held: str) -> None:
    async def unsent() -> None:
        block = await store.outbox.next_block(STREAM, 100)
        assert block is not None

    async def newest() -> None:
        assert await store.readings.captures("M0500", STREAM, 0, 1 << 40, 96)

    async def first() -> None:
        assert await store.readings.captures("M0500", STREAM, ORIGIN - DAY, ORIGIN, BLOCK_ROWS)

    for name, question in (("next 100 unsent", unsent), ("newest day", newest), ("first day", first)):
        print(f"with {held} held: {name} of them in {await _median(question):.2f} ms")


async def _median(question: Callable[[], Awaitable[None]]) -> float:
    """Return how long `question` usually takes, in ms."""
    times = []
    for _ in range(15):
        start = time.perf_counter()
        await question()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000
