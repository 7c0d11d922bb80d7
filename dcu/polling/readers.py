"""Which client reads which streams of a meter: its own access, as far as its companion profile names no other.

How such a client is let in is `dcu.conversation.opening`'s business, in which order they come `poll`'s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dcu.archive import Archive
from dcu.model import Command, Meter

#: The command that reads a stream, and which of its arguments names that.
READ, STREAM = "meter.read", "profile"


#: Seconds after which streams are tried again that another client could not read: long enough that a whole line of
#: meters with a wrong key spends a small part of its time on it.
RETRY = 3600.0


@dataclass(slots=True)
class Postponed:
    """Streams that are to be asked for again, by meter: since when (monotonic s), and which; the oldest first."""

    _since: dict[str, tuple[float, Sequence[str]]] = field(default_factory=dict)

    def put(self, meter: str, streams: Sequence[str], now: float) -> None:
        """Have `streams` tried again in RETRY seconds, with those of this meter that wait already."""
        _, before = self._since.pop(meter, (now, ()))
        self._since[meter] = now, tuple(dict.fromkeys((*before, *streams)))

    def due(self, now: float) -> list[tuple[str, Sequence[str]]]:
        """Return, and forget, what has waited long enough."""
        found = []
        while self._since:
            meter, (since, streams) = next(iter(self._since.items()))
            if now - since < RETRY:
                break
            del self._since[meter]
            found.append((meter, streams))
        return found


def readers(archive: Archive, meter: str, streams: Iterable[str]) -> dict[Meter, list[str]]:
    """Return for each client that reads some of `streams` the meter as it is opened then, and which; our own first.

    Our own has none where all are read by others.
    """
    known = archive.meter(meter)
    found: dict[Meter, list[str]] = {known: []}
    for stream in streams:
        found.setdefault(_opened(archive, known, stream), []).append(stream)
    return found


def opened_for(archive: Archive, meter: str, command: Command) -> Meter:
    """Return the meter as it is opened for `command`: a stream is read on demand by who reads it on schedule."""
    asked = command.args.get(STREAM)
    if command.name == READ and isinstance(asked, str):
        return _opened(archive, archive.meter(meter), asked)
    return archive.opened_for(meter, command.name)


def _opened(archive: Archive, meter: Meter, stream: str) -> Meter:
    access = archive.profile(meter.id).reads(stream)
    return meter if access in {None, meter.access} else replace(meter, access=access)
