"""A simulated meter: its identity, clock, relay, and what each of its objects holds at a second of its clock.

Everything but the relay, the clock's setting, the message, the secrets and the invocation counters is a pure function
of (seed, meter, object, time). How attributes look on the wire is in `sim.objects`, who may ask for them in
`sim.server`.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from dcu.clock import utc
from dcu.dlms.axdr import Typed
from dcu.dlms.moment import DateTime
from dcu.model import Attribute, Column, Keys, Referencing, Value
from dcu.obis import parse_obis
from sim.events import EventLog, power_failed
from sim.household import DAY, INSTALLED, Household, noise
from sim.models import IDIS, MODELS
from sim.profiles import STATUS_PERIODS, SimProfile

#: The attribute of every class captured or shown here that holds its value.
VALUE = 2

DEVICE_NAME = parse_obis("0-0:42.0.0.255")
SERIAL_NUMBER = parse_obis("0-0:96.1.0.255")
FIRMWARE = parse_obis("1-0:0.2.0.255")

#: Profile status, bit 7: the mains were away in this period.
STATUS_POWER_DOWN = 0x80

#: How far back the last event's code is looked for when a code object is read by itself.
LAST_EVENT = 60 * DAY

#: Remote operations that the disconnector log remembers; the oldest fall out.
RELAY_HISTORY = 64


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What distinguishes one meter from another, for good. `address` is its HDLC physical address or its wPort.

    Its clock is `clock_offset` seconds off on the day it was installed and gains `clock_drift` seconds per day, and has
    shift_time where it `shifts`.
    `compressed` meters send null-data for what repeats or counts on in a profile. `max_info` octets and `window` frames
    are what its HDLC layer grants at most; `inactivity` is how many seconds without a word end a connection. `suite` is
    its security suite, and its keys have that suite's sizes. A `single` one has room for one HDLC connection, whoever
    has it; a `mute` one says nothing to who comes with a counter that it will not take. An old meter's attributes have
    short names, others know logical names only (`referencing`). One with a `zone` (IANA) shows local time without its
    deviation, and changes between summer and winter time by itself.
    """

    seed: int
    id: str
    address: int = 17
    phases: int = 1
    solar: bool = False
    keys: Keys = field(default_factory=Keys)
    compressed: bool = True
    clock_offset: float = 0.0
    clock_drift: float = 0.0
    max_info: int = 2030
    window: int = 1
    inactivity: float = 120.0
    suite: int = 0
    referencing: Referencing = Referencing.LN
    kind: str = IDIS
    shifts: bool = True
    single: bool = False
    mute: bool = False
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a profile are asked for: a span of capture times, and entries counted from 1 (last 0: all).

    `columns` says which columns, the clock being number 0; None: all of them.
    """

    start: int = INSTALLED
    end: int | None = None
    first: int = 1
    last: int = 0
    columns: tuple[int, ...] | None = None


class Relay:
    """The disconnector: connected, or not; and what was remotely done to it, as (meter time, event code).

    `codes` are those of a disconnection and of a connection.
    """

    def __init__(self, codes: tuple[int, int]) -> None:
        self._codes = codes
        self.connected = True
        self.history: deque[tuple[int, int]] = deque(maxlen=RELAY_HISTORY)

    def switch(self, at: int, *, connected: bool) -> None:
        """Disconnect or reconnect at `at`; one entry per second, so that a capture time names one event."""
        self.connected = connected
        latest = self.history[-1][0] if self.history else at - 1
        self.history.append((max(at, latest + 1), self._codes[connected]))


class SimMeter:
    """One meter. Times called `at` are whole UTC seconds of the meter's own clock, `now` is the world's time."""

    def __init__(self, plate: Nameplate) -> None:
        self.plate = plate
        self.home = Household(plate.seed, plate.id, plate.solar)
        self.model = MODELS[plate.kind, plate.phases]
        self.registers = self.model.registers
        self.profiles = self.model.profiles
        self.relay = Relay(self.model.relay)
        number = noise(plate.seed, plate.id, "serial") % 10**8
        self.identity = {
            DEVICE_NAME: b"SIM%013d" % number,
            SERIAL_NUMBER: b"%08d" % number,
            FIRMWARE: b"sim %d-phase 1.0" % plate.phases,
        }
        #: Eight octets: three letters of the maker and the serial number (IEC 62056-5-3, system title).
        self.title = b"SIM" + number.to_bytes(5)
        #: The last invocation counters accepted from a client and used in answers; state, as the relay is.
        self.heard = -1
        self.spoken = 0
        #: What the clock was moved by, in seconds, and the text on the display: settable state too.
        self.clock_shift = 0.0
        self.message = b""
        #: Whether each answer is to the request before, over associations too, and the one that comes next.
        self.behind = False
        self.owed = b""
        #: What was written to the rare objects, by class and attribute.
        self.shelf: dict[tuple[int, int], Any] = {}
        #: The secrets in force: those of the plate, until others were given. A meter that is not `prompt` takes others
        #: and goes on with these until it is told to `turn`, as some do until midnight or the next start.
        self.keys = plate.keys
        self.prompt = True
        self._taken: Keys | None = None
        #: Attributes read with success, by logical name.
        self.served: Counter[bytes] = Counter()
        #: Values handed out, by logical name: the rows of profiles, and one for each other value (attribute 2).
        self.given: Counter[bytes] = Counter()

    @property
    def id(self) -> str:
        return self.plate.id

    def renew(self, **secrets: bytes) -> None:
        """Take other `secrets`, by the name of their field."""
        self._taken = replace(self._taken or self.keys, **secrets)
        if self.prompt:
            self.turn()

    def turn(self) -> None:
        """Use the secrets that were taken, if any were."""
        self.keys, self._taken = self._taken or self.keys, None

    def take_counter(self) -> int:
        """Return an invocation counter that no answer had before."""
        self.spoken += 1
        return self.spoken

    def give(self, attribute: Attribute, value: Typed) -> None:
        """Count `value` as handed out."""
        self.served[attribute.name] += 1
        if attribute.index == VALUE:
            self.given[attribute.name] += len(value.value) if attribute.name in self.profiles else 1

    def clock_at(self, now: float) -> int:
        """Return the second that the meter's clock shows at `now` (UTC seconds)."""
        drift = self.plate.clock_drift * (now - INSTALLED) / DAY
        return int(now + self.plate.clock_offset + self.clock_shift + drift)

    def set_clock(self, at: int, target: int) -> None:
        """Make the clock, which shows `at`, show `target`."""
        self.clock_shift += target - at

    def shown(self, at: int) -> int:
        """Return the second that its display shows at `at`, as if that were UTC."""
        if not self.plate.zone:
            return at
        ahead = utc(at).astimezone(ZoneInfo(self.plate.zone)).utcoffset()
        assert ahead is not None
        return at + int(ahead.total_seconds())

    def moment(self, at: int) -> DateTime:
        """Return `at` as the meter writes it."""
        moment = DateTime.from_utc(self.shown(at))
        return moment._replace(deviation=None) if self.plate.zone else moment

    def value(self, column: Attribute | Column, at: int) -> Value:
        """Return what a capture of `column` at `at` holds; KeyError for what this meter does not capture."""
        name = column.name
        if name in self.registers:
            return self.registers[name].value(self.home, at)
        if name in STATUS_PERIODS:
            failed = power_failed(self.plate.seed, self.id, at - STATUS_PERIODS[name] + 1, at)
            return STATUS_POWER_DOWN if failed else 0
        if name == self.model.conditions:
            return self._conditions(at)
        log = next((log for log in self.model.logs if log.code == name), None)
        return self.identity[name] if log is None else self._last_code(log, at)

    def _conditions(self, at: int) -> Value:
        """Return the bits of what lasts at `at`: a number, or as text where the meter has them as a bit-string."""
        up = set()
        for log in self.model.logs:
            for begin in {episode.begin for episode in log.episodes} & self.model.bits.keys():
                if log.episode_in(self.plate.seed, self.id, at, at, begin):
                    up.add(self.model.bits[begin])
        if not self.model.word:
            return sum(1 << bit for bit in up)
        return "".join("1" if bit in up else "0" for bit in range(self.model.word))

    def rows(self, profile: SimProfile, wanted: Rows, at: int) -> Sequence[int]:
        """Return the capture times that `wanted` selects from what the profile holds at `at`."""
        oldest = max(at - profile.keep, INSTALLED)
        if self.plate.zone and wanted.end is not None:  # by the times that they bear
            near = self.times(profile, max(wanted.start - DAY, oldest), min(wanted.end + DAY, at))
            return [each for each in near if wanted.start <= self.shown(each) <= wanted.end]
        end = at if wanted.end is None else min(wanted.end, at)
        return self.times(profile, max(wanted.start, oldest), end)[max(wanted.first - 1, 0) : wanted.last or None]

    def times(self, profile: SimProfile, start: int, end: int) -> Sequence[int]:
        """Return all capture times of `profile` in start..end, both included."""
        if profile.log is None:
            return profile.times(start, end)
        return [at for at, _ in self._events(profile.log, start, end)]

    def _events(self, log: EventLog, start: int, end: int) -> list[tuple[int, int]]:
        events = log.between(self.plate.seed, self.id, max(start, INSTALLED), end)
        if log is self.model.relay_log:
            events += [event for event in self.relay.history if start <= event[0] <= end]
            events.sort()
        return events

    def _last_code(self, log: EventLog, at: int) -> int:
        events = self._events(log, at, at) or self._events(log, at - LAST_EVENT, at)
        return events[-1][1] if events else 0
