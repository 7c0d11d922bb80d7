"""What the system knows of its clock, and the memory of it that outlives this process.

What it means for the readings is in `clock`; who is told, in `dcu.watching`.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dcu.clock import Discipline, SystemClock
from dcu.config import Config
from dcu.errors import StoreError

#: What adjtimex(2) returns when nothing disciplines the clock, or nothing has for hours.
TIME_ERROR = 5

#: More octets than `struct timex` has in any of its forms; no field of it is looked at.
TIMEX_OCTETS = 512


def asking_kernel() -> Callable[[], bool]:
    """Return what asks the kernel whether NTP, or another source, keeps the clock right; False when it will not say."""
    import ctypes  # noqa: PLC0415 - a unit that does not ask needs none of it in memory

    libc = ctypes.CDLL(None)
    # where time_t has 32 bits still, the plain name cannot tell times after 2038 (glibc 2.34)
    adjtimex = getattr(libc, "__adjtimex64", None) or libc.adjtimex

    def synchronised() -> bool:
        # all zeroes: `modes` 0 changes nothing
        state: int = adjtimex(ctypes.create_string_buffer(TIMEX_OCTETS))
        return 0 <= state < TIME_ERROR

    return synchronised


class DisciplineFile:
    """Keeps when the clock was disciplined last; in another boot it says nothing, for monotonic time begins anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Discipline | None:
        """Return what was kept, None when nothing was, or nothing that can be read."""
        with suppress(OSError, ValueError, TypeError):
            at, ahead = map(float, json.loads(self._path.read_text()))
            return Discipline(at, ahead)
        return None

    def save(self, discipline: Discipline) -> None:
        """Replace what was kept. Raises StoreError."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps([discipline.at, discipline.ahead]))
            fresh.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error


def discipline_of(config: Config) -> DisciplineFile:
    """Return the file of the box."""
    return DisciplineFile(Path(config.dcu.data) / "clock.json")


def system_clock(config: Config) -> SystemClock:
    """Return the clock of the box, which goes on from what the file says."""
    if not config.clock.synchronised:
        return SystemClock()
    return SystemClock(asking_kernel(), config.clock.holdover, discipline_of(config).load())
