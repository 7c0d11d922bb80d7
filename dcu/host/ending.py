"""The daemon as a process among others: alone in its directory, and ended in time whatever happens.

In which order its flows end is decided in `dcu.daemon`.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from dcu.errors import OperatorError

log = structlog.get_logger()

#: What an ordered end may take, in seconds: buses and doors, then the uplink; then nobody is waited for any more.
END_WORKERS, END_UPLINK = 1.5, 2.0
STOP_BOUND = 4.8

#: Seconds for threads when all else has ended: `asyncio.Runner` waits for them, in its loop, and one that asks a silent
#: name server takes half a minute.
END_THREADS = 0.5


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold `lock`, which a process that ends in whatever way lets go. Raises OperatorError when another has it."""
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OperatorError(f"{lock.parent} is in use by another dcu run") from error
        yield


async def finish(tasks: Sequence[asyncio.Task[None]], bound: float) -> None:
    """Cancel `tasks` and wait for them, no longer than `bound` seconds."""
    for task in tasks:
        task.cancel()
    _, late = await asyncio.wait(tasks, timeout=bound)
    if late:
        log.error("did not end in time", tasks=[task.get_name() for task in late])


def give_up() -> None:
    """End at once. What was reported stored is on the disk; a task that does not end must not hold up the box."""
    log.critical("not everything ended in time")
    os._exit(1)


def leave() -> None:
    """End well without the threads that are left: all is on the disk, and what they ask for nobody wants any more."""
    log.info("ended before a thread")
    os._exit(0)
