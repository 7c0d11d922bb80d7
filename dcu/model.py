"""The words every room shares: meters, what is read from them, captures, visits and commands. No I/O, no behaviour.

Times are UTC seconds since 1970 unless a name says otherwise. Everything is frozen and slotted.
"""

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import IntEnum, StrEnum
from typing import Final

#: One value of a capture: the meter's own integer (scaler and unit are in the column), or text, or bytes.
Value = int | float | str | bytes | bool | None


#: The stream of instantaneous values: no profile object of the meter, but its registers read at one moment.
INSTANT = "instant"

#: Tasks of the timetable that bring no captures: look after the meter's clock; look whether it still is that meter.
CLOCK, IDENTITY = "clock", "identity"

#: The stream of the box's own events. Such a capture is about one meter, or about the box (`meter` is the DCU's id);
#: it has NO_STATUS and no columns, and its values are the event's name and its detail as JSON text.
DCU_EVENTS = "event.dcu"

#: The stream of alarm registers: one capture for each change of their bits.
ALARM = "event.alarm"

#: The stream of what meters told of their own accord.
PUSH = "event.push"

#: Clock status "not specified" (IEC 62056-6-2, 4.1.6.1).
NO_STATUS = 0xFF


class Framing(StrEnum):
    """Lower layer of a bus."""

    HDLC = "hdlc"
    WRAPPER = "wrapper"


class Authentication(IntEnum):
    """Authentication mechanism ids (IEC 62056-5-3, mechanism_id)."""

    NONE = 0
    LLS = 1
    HLS_MD5 = 3
    HLS_SHA1 = 4
    HLS_GMAC = 5
    HLS_SHA256 = 6
    HLS_ECDSA = 7


class Ciphering(StrEnum):
    """Which key protects APDUs, and whether the APDU that carries them names the service inside (IEC 62056-5-3)."""

    GLO = "glo"
    DED = "ded"
    GENERAL_GLO = "general-glo"
    GENERAL_DED = "general-ded"
    GENERAL = "general"
    GENERAL_ONE_PASS = "general-one-pass"  # noqa: S105 - a scheme of key agreement
    GENERAL_STATIC = "general-static"


#: Forms whose keys the parties agree on, one for each APDU.
AGREED = frozenset({Ciphering.GENERAL_ONE_PASS, Ciphering.GENERAL_STATIC})


class Referencing(StrEnum):
    """How attributes are named in an association: by logical name, or by a 16-bit short name (IEC 62056-6-2, 4.2)."""

    LN = "ln"
    SN = "sn"


#: Octets of encryption, authentication and dedicated keys by security suite: AES-128, AES-128, AES-256.
KEY_OCTETS = {0: 16, 1: 16, 2: 32}

#: Octets of a private key to sign or to agree on keys by security suite, a public one has twice as many: P-256, P-384.
CURVE_OCTETS = {1: 32, 2: 48}

#: Where a meter shows the invocation counter it heard last, unless it has one for each client.
INVOCATION_COUNTER = b"\x00\x00\x2b\x01\x00\xff"


@dataclass(frozen=True, slots=True)
class Access:
    """How one client of the meters is used: who we are and how we prove it. Secrets are in `Keys`.

    `suite` is the DLMS security suite, 0 to 2; `invocation_counter` the logical name of the meter's counter for this
    client, which the public client may read. `referencing` is SN for old meters, which take no more than a password.
    """

    name: str
    client: int = 16
    authentication: Authentication = Authentication.NONE
    ciphered: bool = False
    suite: int = 0
    ciphering: Ciphering = Ciphering.GLO
    invocation_counter: bytes = INVOCATION_COUNTER
    referencing: Referencing = Referencing.LN


#: The secrets of a meter that can be changed, and where `Keys` has them.
SECRET_KINDS = {"encryption": "encryption_key", "authentication": "authentication_key", "password": "password"}


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of one meter, never printed. `password`: of LLS, or the HLS secret of MD5, SHA-1 and SHA-256.

    Encryption and authentication key, for GMAC and ciphering: 16 octets, 32 in suite 2. `signing_key` is our private
    ECDSA key (the number), `verifying_key` the meter's public one (x and y): 32 and 64 octets, 48 and 96 in suite 2.
    `agreement_key` and `meter_agreement_key` are the same for key agreement. `master_key` wraps new keys on their way
    to the meter, and is as long as they are. Under the `broadcast_key`, as long too, many meters may answer.
    """

    password: bytes = field(default=b"", repr=False)
    encryption_key: bytes = field(default=b"", repr=False)
    authentication_key: bytes = field(default=b"", repr=False)
    signing_key: bytes = field(default=b"", repr=False)
    verifying_key: bytes = field(default=b"", repr=False)
    master_key: bytes = field(default=b"", repr=False)
    agreement_key: bytes = field(default=b"", repr=False)
    meter_agreement_key: bytes = field(default=b"", repr=False)
    broadcast_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Meter:
    """One line of the archive. `address`: HDLC physical device (server) address, or server wPort for WRAPPER.

    `serial` is the number on the nameplate, as far as the line tells it; `group` names a timetable of its own.
    """

    id: str
    bus: str
    address: int
    access: str
    profile: str
    logical_device: int = 1
    serial: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A COSEM attribute: class id, six-byte logical name, attribute index."""

    class_id: int
    name: bytes
    index: int = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One value of a capture: which attribute it is, and how to read the integer: value · 10^scaler in `unit`."""

    class_id: int
    name: bytes
    index: int = 2
    data_index: int = 0
    scaler: int = 0
    unit: int = 255


@dataclass(frozen=True, slots=True)
class Capture:
    """One row: the values a meter held at `at` (its own clock, as UTC), with the provenance of that time.

    `values` and `columns` have equal length. `status` is the DLMS clock status byte (IEC 62056-6-1, 4.1.6.1).
    `read_at` is DCU time when the answer came, `offset` meter clock minus DCU clock in seconds at this visit, or
    for rows as it was measured over the same association minutes ago (None: unknown), `trusted` whether the DCU clock
    had ever been set.
    """

    meter: str
    stream: str
    at: int
    status: int
    values: tuple[Value, ...]
    columns: tuple[Column, ...]
    read_at: float
    offset: float | None
    trusted: bool


class Priority(IntEnum):
    """Order of visits on a bus: commands always first; below them a lower number first, until a higher one has aged."""

    COMMAND = 0
    EVENT = 1
    BILLING = 2
    SCHEDULED = 3
    BACKFILL = 4
    DISCOVERY = 5


#: `Task.day` of a task that falls due on the last day of each month.
LAST_DAY = -1


class Order(StrEnum):
    """Which end of what is missing is read first."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Task:
    """One line of the timetable. `stream` falls due at every wall-clock multiple of `every`, plus `offset`.

    With `at` (seconds after midnight in `zone`) it falls due at that time of day instead, plus `offset`: each day, or
    on one `day` of each month (1 to 28, or LAST_DAY). It may start up to `window` after that (0: whenever it can), and
    ought to within `deadline` (None: as its priority has it). `backfill` is how far back rows are fetched from a meter
    that has no watermark yet. All in seconds. `objects` are the attributes of a stream that is no profile of the meter.
    `order` says which end of what is missing is read first, `sla` which share (of 1) of what is expected has to be
    there by the deadline.
    """

    stream: str
    every: float = 0.0
    offset: float = 0.0
    backfill: float = 0.0
    priority: Priority = Priority.SCHEDULED
    at: float | None = None
    day: int | None = None
    zone: tzinfo = UTC
    window: float = 0.0
    deadline: float | None = None
    objects: tuple[Attribute, ...] = ()
    order: Order = Order.NEWEST
    sla: float = 0.985


@dataclass(frozen=True, slots=True)
class EventCode:
    """What one number in a meter's event log means. `severity` is "info", "warning" or "alarm".

    `restores` is the number of the event that this one ends.
    """

    name: str
    severity: str = "info"
    restores: int | None = None


class Role(StrEnum):
    """Who may give a command (IEC 62351-8)."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    INSTALLER = "installer"
    SECADM = "secadm"
    SECAUD = "secaud"


@dataclass(frozen=True, slots=True)
class Visit:
    """One conversation with one meter: which streams are due, or which command it carries.

    `doubtful`: the command may have been carried out already, so the visit looks and does not act. `more`: it is also
    for what the timetable does not ask for now, rows left behind above all.
    """

    meter: str
    streams: tuple[str, ...] = ()
    command: "Command | None" = None
    priority: Priority = Priority.SCHEDULED
    doubtful: bool = False
    more: bool = field(default=False, compare=False)


class Outcome(StrEnum):
    """How a visit ended. One that `YIELDED` stopped for something urgent and goes on later.

    `UNASKED` is one for a command that was answered before its meter was asked: it says nothing about that.
    """

    OK = "ok"
    PARTLY = "partly"
    YIELDED = "yielded"
    SILENT = "silent"
    REFUSED = "refused"
    LINE = "line"
    UNASKED = "unasked"


class Reach(StrEnum):
    """Whether a meter can be reached: DEGRADED has failed since its last success, UNREACHABLE so often it is probed."""

    REACHABLE = "reachable"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a meter stands `since` when, and when it was `read` last since the start (None: not yet)."""

    state: Reach
    since: float
    read: float | None = None


class Reason(StrEnum):
    """Why a capture that is expected is missing."""

    UNREACHABLE = "unreachable"
    LINE = "line error"
    NO_RECORD = "meter has no record"
    CLOCK = "clock invalid"
    NOT_CONFIGURED = "not configured"
    DROPPED = "dropped"
    PENDING = "not read yet"


#: Why there are no blocks of some sequence numbers: the store met with a mishap, and went on above all it had given.
LEAP: Final = "leap"

#: Why a block does not come: the broker will not take it. Its captures stay.
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Captures that had to go before they were delivered: `count` of them with times from `start` to `end`.

    With `numbers`, first and last, it is the word of sequence numbers that no block has, but those that came before.
    """

    reason: str
    start: int
    end: int
    count: int
    numbers: tuple[int, int] | None = None


class CommandState(StrEnum):
    """States of the command journal; the last four are final."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        return self not in {CommandState.ACCEPTED, CommandState.RUNNING}


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was accepted. `door` is where it came from: "mqtt" or "local".

    One to many meters names none: its `targets` are "all", or "group" and the name of one. `device` is what was known
    of the meter that it was accepted for: its name may be another's by the time it is carried out.
    """

    id: str
    name: str
    meters: tuple[str, ...] = ()
    args: dict[str, object] = field(default_factory=dict)
    issued: float = 0.0
    expires: float | None = None
    door: str = "mqtt"
    received: float = 0.0
    targets: str = ""
    device: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A journal line: the command, its state, and its answer once there is one (JSON-able).

    Of a command to many meters `progress` has how many there are, and how many have answered and failed so far.
    """

    command: Command
    state: CommandState
    result: dict[str, object] | None = None
    error: str | None = None
    changed: float = 0.0
    progress: dict[str, int] | None = None
