"""The process around the daemon: its event loop, its signals, its store; opened anew as long as nobody says stop.

What runs in it is built in `dcu.daemon`.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from dcu.archive import Kept
from dcu.clock import Clock
from dcu.config import Config
from dcu.daemon import Daemon
from dcu.errors import DamagedError
from dcu.host.apart import apart
from dcu.host.discipline import system_clock
from dcu.host.ending import END_THREADS, STOP_BOUND, alone, give_up, leave
from dcu.host.heap import one_pool
from dcu.host.notify import ask_for_time
from dcu.keeping.shelter import Sheltered
from dcu.profiles import CompanionProfile, ProfileFolders, load_profile
from dcu.store import PATIENCE, Mishap, Store, make_place

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TimeBase:
    """The clock (None: the system's) and the event loop the daemon runs on; a simulation passes its own."""

    clock: Clock | None = None
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None


REAL_TIME = TimeBase()


def serve(config: Config, base: TimeBase = REAL_TIME) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises StoreError when the store cannot be opened."""
    used = sorted({meter.profile for meter in config.meters})
    folders = ProfileFolders.at(config.dcu.profiles_dir)
    profiles = apart(lambda: {name: load_profile(name, folders) for name in used})
    path = Path(config.dcu.data) / "store.db"
    make_place(path)
    one_pool()
    with alone(path.with_suffix(".lock")), asyncio.Runner(loop_factory=base.loop_factory) as runner:
        runner.run(_run(config, profiles, base.clock or system_clock(config), path))


async def _run(config: Config, profiles: Mapping[str, CompanionProfile], clock: Clock, path: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        loop.call_later(STOP_BOUND, give_up)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    found: Mishap | None = None
    sheltered = Sheltered()
    while not stop.is_set():
        store = None
        asking = asyncio.create_task(ask_for_time())
        try:
            async with Store.open(path, clock, found=found, patience=PATIENCE) as store:
                asking.cancel()
                await Daemon(config, profiles, store, await _kept(store), clock, sheltered=sheltered).run(stop)
        except DamagedError as error:
            log.critical("the store is damaged", reason=str(error))
        finally:
            asking.cancel()
        # the rooms hold what the file said: with another file they are built anew
        found = store.database.found if store else None
    log.info("ended")
    loop.call_later(END_THREADS, leave)


async def _kept(store: Store) -> Kept:
    """Return what the store knew; nobody but the archive is to hold it, which takes megabytes for 1024 meters."""
    return Kept(await store.readings.watermarks(), await store.ledger.unread())
