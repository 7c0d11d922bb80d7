"""What a companion profile says about its meters, as frozen data. Reading it from YAML is in `load`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dcu.model import ALARM, INSTANT, Access, Attribute, EventCode

#: What the profiles of a meter are called that is explored: load profiles, billing, and logs by the last number of
#: their logical name.
FOUND = frozenset(("load0", "load1", "daily", "billing", ALARM, *(f"event.{number}" for number in range(16))))


@dataclass(frozen=True, slots=True)
class ProfileStream:
    """One profile object (class 7) of the meter: its logical name, and the seconds between two rows.

    `period` is None where rows are not evenly spaced: calendar months, events. `columns` are the logical names that
    meters of this kind are expected to capture, in order; empty: whatever the meter says. `scalers` is the profile
    whose one row holds scalers and units for these columns. A `whole` profile is asked for without a range.
    """

    name: bytes
    period: int | None = None
    columns: tuple[bytes, ...] = ()
    scalers: bytes | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Alarms:
    """A register whose bits stand for conditions: bit 0 is the lowest of a number, and the first of a bit-string.

    `filter` holds the bits that the meter raises at all.
    """

    register: Attribute
    filter: Attribute | None = None
    bits: Mapping[int, EventCode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusBits:
    """What `columns` of rows (logical names) tell of the time of a row: conditions by bit, numbered as in `Alarms`."""

    columns: frozenset[bytes]
    bits: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompanionProfile:
    """The objects of one kind of meter.

    `registers` are the instantaneous values of the stream `INSTANT`; a meter that lacks one of them (the phases L2 and
    L3 of a single-phase meter) answers with an access error for that one. Where `streams` has INSTANT too, the meter
    keeps them in a profile. `streams` are the profile objects by stream name, `event_codes` the codes of each event
    stream; `status` are the bits of rows after which alarms and logs are worth a look. `identity` tells one meter from
    another: "serial" and "firmware" among others. `tasks` names, by command or stream, the client that does it where
    that is not the meter's own access: an exact name, or the beginning of names and `*`. A profile that `discovers`
    says only where to begin: the meter itself tells the rest.
    """

    name: str
    clock: Attribute
    disconnect: Attribute
    identity: Mapping[str, Attribute]
    registers: tuple[Attribute, ...]
    streams: Mapping[str, ProfileStream]
    event_codes: Mapping[str, Mapping[int, EventCode]]
    alarms: Alarms | None = None
    status: StatusBits | None = None
    nameplate: Attribute | None = None
    clients: Mapping[str, Access] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    discovers: bool = False

    @property
    def stream_names(self) -> frozenset[str]:
        """Everything a timetable may name for such a meter; of one that is explored, what it may be found to have."""
        found = FOUND if self.discovers else frozenset()
        return frozenset(self.streams) | {INSTANT} | ({ALARM} if self.alarms else frozenset()) | found

    @property
    def access(self) -> dict[str, Access]:
        """Return the clients by names that no access of a configuration has."""
        return {f"{self.name}:{name}": client for name, client in self.clients.items()}

    def opens(self, task: str) -> str | None:
        """Return the name, in `access`, of the client by which `task` is done, None for the meter's own."""
        client = self.client(task)
        return next((name for name, each in self.access.items() if each is client), None)

    def reads(self, stream: str) -> str | None:
        """Return the name, in `access`, of the client by which `stream` is read, None for the meter's own.

        `*` alone stands for commands.
        """
        named = (
            stream.startswith(task[:-1]) if task.endswith("*") else stream == task for task in self.tasks.keys() - {"*"}
        )
        return self.opens(stream) if any(named) else None

    def client(self, task: str) -> Access | None:
        """Return the access by which `task` (a stream, or a command) is done, None for the meter's own."""
        if task in self.tasks:
            return self.clients[self.tasks[task]]
        starts = (pattern for pattern in self.tasks if pattern.endswith("*") and task.startswith(pattern[:-1]))
        longest = max(starts, key=len, default=None)
        return None if longest is None else self.clients[self.tasks[longest]]
