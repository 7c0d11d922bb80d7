"""The checked configuration as frozen data: what the rest of the daemon is given. How it is read is in `parse`.

Durations are seconds. Paths are absolute, or relative to the working directory when the file was named so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from dcu.model import Access, Framing, Keys, Meter, Role, Task

#: The companion profile that asks a meter what it has.
GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class DcuSettings:
    """Section `dcu`. `system_title` is the eight bytes by which meters know this client (ciphering, HLS-GMAC).

    `store_key` is the file of the key that seals secrets in the store, None: store.key in `data`.
    `allow` are the roles whose commands are taken, at either door.
    `zone` is where times of day are told. A meter is reported when it is unreachable for `unreachable_after`.
    `groups` are those of DCUs to which it belongs: their commands are heard too.
    `profiles_dir` is where the operator's companion profiles lie; None: where `dcu.profiles` looks by itself.
    """

    id: str
    system_title: bytes
    data: str = "/var/lib/dcu"
    socket: str = "/run/dcu/dcu.sock"
    log: str = "info"
    store_key: str | None = None
    allow: frozenset[Role] = frozenset({Role.VIEWER})
    profiles_dir: str | None = None
    zone: tzinfo = UTC
    unreachable_after: float = 72 * 3600.0
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Section `clock`. `synchronised`: what the box collects has to be labelled by a clock that NTP looks after.

    It may have been left alone for `holdover` seconds. Otherwise a date that is not absurd is enough.
    The clocks of meters are moved only with `set`: when they are more than `tolerance` seconds off, and up to `limit`;
    by the access named so, otherwise by the one that the companion profile names, or the meter's own.
    """

    synchronised: bool = True
    holdover: float = 7 * 86_400.0
    set: bool = False
    tolerance: float = 30.0
    limit: float = 3600.0
    access: str | None = None


#: How long captures are kept, in seconds, by stream or by what its name begins with; `commands` are those that ended.
RETENTION = {
    "instant": 31 * 86_400.0,
    "load0": 180 * 86_400.0,
    "load1": 90 * 86_400.0,
    "daily": 400 * 86_400.0,
    "billing": 1200 * 86_400.0,
    "event": 400 * 86_400.0,
    "commands": 400 * 86_400.0,
    "default": 90 * 86_400.0,
}

#: Which streams go first when there is no room.
SACRIFICE = ("instant", "load1", "load0", "daily", "event", "billing")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Section `store`. Octets that the database may have (`budget`), and that the flash can take (`endurance`)."""

    budget: int = 1_000_000_000
    endurance: int = 10_000_000_000_000
    retention: Mapping[str, float] = field(default_factory=lambda: dict(RETENTION))
    sacrifice: tuple[str, ...] = SACRIFICE


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Section `uplink.tls`: paths of PEM files. Without `ca` the system's authorities are trusted.

    `alpn` are the protocols offered (RFC 7301), the best first; `only_13`: no TLS 1.2.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    alpn: tuple[str, ...] = ()
    only_13: bool = False


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """An entry of `uplink.streams`: as `compact` block or as JSON; when a block leaves: at `rows`, or after `delay`."""

    compact: bool = True
    delay: float = 30.0
    rows: int = 500


#: How streams are sent that the configuration does not speak of. Captures come in over minutes, a row or two a second;
#: a message of one row costs twenty times the octets that its row does in a block, and nobody bills within the minute.
#: Events are few, are read by people too, and wait for nothing.
DATA_STREAM = StreamSettings()
EVENT_STREAM = StreamSettings(compact=False, delay=0.0, rows=100)

#: The name of the entry for all streams of data that have none of their own.
DEFAULT_STREAM = "default"


def of_events(stream: str) -> bool:
    """Whether `stream` is one of events; they wait for nothing."""
    return stream.partition(".")[0] == "event"


#: A broker's host and port; None: the port of the section.
Endpoint = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """An entry of `uplink.channels`, the best first. What is None is as the section `uplink` says.

    `metered`: octets cost money. `budget` octets a day (None: no bound) and the streams it `carries` (None: all) bound
    what data may take; what is urgent always leaves. A connection stands from each multiple of `every` seconds until
    all is said (None: always).
    """

    name: str
    brokers: tuple[Endpoint, ...] = ()
    interface: str | None = None
    source: str | None = None
    metered: bool = False
    keepalive: float | None = None
    silence: float | None = None
    budget: int | None = None
    carries: frozenset[str] | None = None
    every: float | None = None


@dataclass(frozen=True, slots=True)
class SparkplugSettings:
    """Section `uplink.sparkplug`: the group of this edge node, and its primary host application (None: any will do)."""

    group: str
    host: str | None = None


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Section `uplink`. `mqtt_version` is "auto", "5" or "3"; `window` counts unacknowledged messages.

    `streams` says by name how a stream is sent; `stream` is who asks. `meter_states`: whether each meter has a topic
    of its own that says how it stands. `sparkplug` is there when readings leave in that dialect.
    `silence` is how long nothing may come through before the connection counts as lost (None: as MQTT's keepalive has
    it). The best of several `channels` is gone back to when it has answered for `return_after` seconds.
    `rate` bounds the messages a second; with `referral` a broker may name another to use.
    `acknowledge`: on whose word rows are released, "broker" (its PUBACK) or
    "head-end"; `patience` is how long that word is waited for before they are sent again, None for the broker's.
    """

    host: str
    client_id: str
    port: int = 1883
    prefix: str = "ami/v1"
    mqtt_version: str = "auto"
    keepalive: float = 30.0
    window: int = 20
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsSettings | None = None
    retain: bool = True
    max_qos: int = 1
    max_payload: int = 100_000
    connect_spread: float = 0.0
    meter_states: bool = True
    sparkplug: SparkplugSettings | None = None
    acknowledge: str = "broker"
    acknowledge_within: float = 600.0
    groups: tuple[str, ...] = ()
    streams: Mapping[str, StreamSettings] = field(default_factory=dict)
    rate: int | None = None
    referral: bool = False
    interface: str | None = None
    source: str | None = None
    silence: float | None = None
    return_after: float = 300.0
    channels: tuple[ChannelSettings, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether there is one broker by one channel, and nothing to watch over but MQTT's keepalive."""
        return not self.channels and self.silence is None and self.tls is None

    @property
    def patience(self) -> float | None:
        return self.acknowledge_within if self.acknowledge == "head-end" else None

    @property
    def longest_keepalive(self) -> float:
        """The longest that a broker may be silent, by whatever channel."""
        return max([self.keepalive, *(channel.keepalive or 0.0 for channel in self.channels)])

    def stream(self, name: str) -> StreamSettings:
        """Return how the stream `name` is sent."""
        if name in self.streams:
            return self.streams[name]
        return EVENT_STREAM if of_events(name) else self.streams.get(DEFAULT_STREAM, DATA_STREAM)


@dataclass(frozen=True, slots=True)
class DiscoverSettings:
    """Section `discover` of a bus: which `addresses` (wPorts with WRAPPER) are asked who is there, each `every` s.

    A station is opened by the access named so, with the default secrets. With `add` it comes into the archive, under
    `profile`; None: the one whose beginning of the logical device name in `profiles` is the longest that fits.
    """

    addresses: tuple[range, ...]
    access: str
    add: bool = False
    profile: str | None = None
    profiles: Mapping[str, str] = field(default_factory=dict)
    every: float = 86_400.0

    def profile_of(self, device: str) -> str:
        """Return the companion profile of a station by its logical device name."""
        fitting = [beginning for beginning in self.profiles if device.startswith(beginning)]
        return self.profile or self.profiles.get(max(fitting, key=len, default=""), GENERIC)


@dataclass(frozen=True, slots=True)
class BusConfig:
    """One entry of `buses`. `port` is a device path, or `tcp://HOST:PORT`.

    `timeout` bounds the wait for the first octet of an answer, `inter_octet` the pause inside one. `address_size` is
    the octets of an HDLC server address: 1, 2 or 4. `max_info` octets of an HDLC information field and `window` frames
    in a row are what a meter is offered; it grants as much or less. `keep_open` is how long an association may rest
    between two visits, 0: every visit associates. `dead_share` is the most of its time that the unreachable may take;
    its tasks begin `stagger` seconds after their boundaries (None: at once).
    On a bus with `push` meters may speak unasked, and are listened to while nobody is asked. `discover` says where new
    meters are looked for.
    """

    name: str
    port: str
    baud: int = 9600
    framing: Framing = Framing.HDLC
    timeout: float = 2.0
    inter_octet: float = 0.2
    address_size: int = 4
    max_info: int = 2030
    window: int = 1
    keep_open: float = 90.0
    dead_share: float = 0.1
    stagger: float | None = None
    push: bool = False
    discover: DiscoverSettings | None = None

    @property
    def on_network(self) -> bool:
        return self.port.startswith("tcp://")

    @property
    def host(self) -> str:
        """The device, or the host of the gateway."""
        return self.port.rpartition(":")[0] if self.on_network else self.port


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without a fault. `keys` has an entry for each meter, by its id; `access` is by name.

    `groups` has the whole timetable of each group, `timetable` that of meters in none.
    `keys` has the secrets of stations without a name too, under "".
    `file` is where it came from, `keys_file` where the secrets did; `revision` is another when the file is.
    `new_keys` are those that a command may give to the meters, by id; empty without such a file.
    """

    dcu: DcuSettings
    uplink: UplinkSettings
    buses: tuple[BusConfig, ...]
    access: Mapping[str, Access]
    keys: Mapping[str, Keys] = field(repr=False)
    meters: tuple[Meter, ...]
    timetable: tuple[Task, ...]
    file: str
    keys_file: str | None = None
    new_keys: Mapping[str, Keys] = field(default_factory=dict, repr=False)
    groups: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    clock: ClockSettings = ClockSettings()
    store: StoreSettings = field(default_factory=StoreSettings)
    revision: str = ""
