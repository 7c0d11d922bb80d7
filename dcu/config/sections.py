"""The sections of the configuration: which keys each has, what may stand there, and what they become.

Defaults are those of `settings` and `dcu.model`; docs/reference/configuration.md describes every key for the operator.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from dcu.config.channels import SILENCE, channels, interface, source
from dcu.config.keys import keys_file
from dcu.config.settings import (
    DATA_STREAM,
    EVENT_STREAM,
    RETENTION,
    SACRIFICE,
    BusConfig,
    ClockSettings,
    DcuSettings,
    DiscoverSettings,
    SparkplugSettings,
    StoreSettings,
    StreamSettings,
    of_events,
)
from dcu.config.timetable import group, timetable
from dcu.config.tls import tls
from dcu.forms import words
from dcu.forms.access import access
from dcu.forms.shape import Place, Reader, Shape, items, named
from dcu.model import (
    Framing,
    Meter,
    Role,
)

#: What one DCU serves (R3), and the lines that takes when every meter is behind an IP address of its own.
MAX_METERS = 1024
MAX_BUSES = 1024
MAX_ACCESS = 32

#: Ranges of addresses that are searched on one bus, and beginnings of names that tell profiles apart.
MAX_SPANS = 32

#: What `profile` says where the logical device name decides, and what becomes of a station that was found.
AUTO = "auto"
PROPOSE, ADD = "propose", "add"
MAX_GROUPS = 32

#: Groups of DCUs that one belongs to: with the other topics of commands they fit one SUBSCRIBE of eight filters.
MAX_DCU_GROUPS = 5

BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)

#: `inter_octet` of a bus on the network that does not say otherwise: a lost segment is sent again after a second or so.
NETWORK_PAUSE = 2.0

#: How long one frame may take on a serial line that names no `max_info`: a command waits for the end of a frame.
FRAME_SECONDS = 2.2


def _words(*options: str) -> Reader:
    return words.choice({option: option for option in options})


def _roles(place: Place) -> frozenset[Role]:
    return frozenset(role for role, _ in items(words.choice({role.value: role for role in Role}), len(Role))(place))


def _groups(place: Place) -> tuple[str, ...]:
    return tuple(name for name, _ in items(words.name, MAX_DCU_GROUPS)(place))


def _dcu(id: str, system_title: bytes | None = None, **others: Any) -> DcuSettings:  # noqa: A002 - the file's key
    """A system title has to be this client's alone: with its counter it makes the nonce of AES-GCM."""
    return DcuSettings(id, system_title or b"DCU" + sha256(id.encode()).digest()[:5], **others)


DCU = Shape(
    _dcu,
    {"id": words.name},
    {
        "data": words.path,
        "socket": words.socket_path,
        "log": _words("debug", "info", "warning", "error"),
        "system_title": words.octets(8),
        "store_key": words.path,
        "allow": _roles,
        "groups": _groups,
        "profiles_dir": words.path,
        "zone": words.zone,
        "unreachable_after": words.duration("1m", "365d"),
    },
)


def _secret_line(place: Place) -> str:
    line = place.other(words.secret_path(place), secret=True).rstrip("\r\n")
    if not line or "\n" in line or "\r" in line:
        place.fault("a file of one line")
    return line


def _uplink(place: Place) -> dict[str, Any]:
    values = UPLINK(place)
    if "password_file" in values:
        values["password"] = values.pop("password_file")
        if "username" not in values:
            place.key("password_file").fault("a username beside it")
    return values


#: Streams that may be sent otherwise than the others.
MAX_STREAMS = 64

STREAM: Shape[dict[str, Any]] = Shape(
    dict,
    {},
    {
        "encoding": words.choice({"block": True, "json": False}),
        "delay": words.duration("0s", "1d"),
        # what the store hands out at once
        "rows": words.number(1, 1000),
    },
)


def _stream(name: str, place: Place) -> tuple[str, StreamSettings]:
    """Return how a stream is sent; what is not said is as for the others of its kind."""
    values = STREAM.read(place)
    event = of_events(name)
    if name == "result":
        place.report("expected a stream of captures: results are JSON and wait for nothing")
    if event and values.get("delay"):
        place.key("delay").report("expected 0s: events wait for nothing")
    if "encoding" in values:
        values["compact"] = values.pop("encoding")
    return name, replace(EVENT_STREAM if event else DATA_STREAM, **values)


_STREAMS = named(_stream, MAX_STREAMS)


def _streams(place: Place) -> dict[str, StreamSettings]:
    return dict(entry for entry, _ in _STREAMS(place))


SPARKPLUG: Shape[SparkplugSettings] = Shape(SparkplugSettings, {"group": words.name}, {"host": words.name})


UPLINK: Shape[dict[str, Any]] = Shape(
    dict,
    {"host": words.host},
    {
        "port": words.number(1, 65535),
        "prefix": words.prefix,
        "client_id": words.name,
        "mqtt_version": _words("auto", "5", "3"),
        "keepalive": words.duration("5s", "1h"),
        "window": words.number(1, 1000),
        "username": words.text,
        "password_file": _secret_line,
        "tls": tls,
        "sparkplug": SPARKPLUG,
        "retain": words.boolean,
        # Without PUBACK nothing is delivered, so QoS 0 is no choice.
        "max_qos": words.number(1, 2),
        "max_payload": words.number(1_000, 1_000_000),
        "connect_spread": words.duration("0s", "1h"),
        "meter_states": words.boolean,
        "acknowledge": _words("broker", "head-end"),
        "acknowledge_within": words.duration("1m", "1d"),
        "streams": _streams,
        "rate": words.number(1, 1000),
        "referral": words.boolean,
        "interface": interface,
        "source": source,
        "silence": SILENCE,
        "return_after": words.duration("10s", "1d"),
        "channels": channels,
    },
)


def _discover(addresses: Any, policy: str = PROPOSE, profile: str = AUTO, profiles: Any = (), **others: Any) -> Any:
    return DiscoverSettings(
        tuple(span for span, _ in addresses),
        add=policy == ADD,
        profile=None if profile == AUTO else profile,
        profiles=dict(each for each, _ in profiles),
        **others,
    )


def _beginning(name: str, place: Place) -> tuple[str, str]:
    return name, words.name(place)


DISCOVER = Shape(
    _discover,
    {"addresses": items(words.span(1, 65535), MAX_SPANS), "access": words.name},
    {
        "policy": _words(PROPOSE, ADD),
        "profile": words.name,
        "profiles": named(_beginning, MAX_SPANS),
        "every": words.duration("1h", "31d"),
    },
)


def _bus(**values: Any) -> BusConfig:
    bus = BusConfig(**values)
    if bus.on_network:
        return replace(bus, inter_octet=values.get("inter_octet", NETWORK_PAUSE))
    # a frame that has begun is not overtaken
    return replace(bus, max_info=values.get("max_info", min(bus.max_info, int(FRAME_SECONDS * bus.baud / 10))))


BUS = Shape(
    _bus,
    {"name": words.name, "port": words.port},
    {
        "baud": words.choice({str(baud): baud for baud in BAUDS}),
        "framing": words.choice({framing.value: framing for framing in Framing}),
        "timeout": words.duration("50ms", "60s"),
        "inter_octet": words.duration("1ms", "30s"),
        "address_size": words.choice({"1": 1, "2": 2, "4": 4}),
        # what stations may negotiate (IEC 62056-46, 6.4.4.4)
        "max_info": words.number(32, 2030),
        "window": words.number(1, 7),
        "keep_open": words.duration("0s", "1h"),
        "dead_share": words.share(1, 50),
        "stagger": words.duration("0s", "10m"),
        "push": words.boolean,
        "discover": DISCOVER,
    },
)

METER = Shape(
    Meter,
    {
        "id": words.name,
        "bus": words.name,
        "address": words.number(1, 65535),
        "access": words.name,
        "profile": words.name,
    },
    {"logical_device": words.number(1, 16381), "serial": words.serial, "group": words.name},
)

CLOCK = Shape(
    lambda require=True, **others: ClockSettings(require, **others),
    {},
    {
        "require": words.choice({"synchronised": True, "plausible": False}),
        "holdover": words.duration("0s", "365d"),
        "set": words.boolean,
        "tolerance": words.duration("5s", "15m"),
        "limit": words.duration("1m", "12h"),
        "access": words.name,
    },
)


def _kept(name: str, place: Place) -> tuple[str, float]:
    return name, words.duration("1d", "3650d")(place)


def _store(retention: Any = (), sacrifice: Any = (), **others: Any) -> StoreSettings:
    order = tuple(name for name, _ in sacrifice) or SACRIFICE
    return StoreSettings(retention=RETENTION | dict(each for each, _ in retention), sacrifice=order, **others)


STORE = Shape(
    _store,
    {},
    {
        "budget": words.size("16MB", "1TB"),
        "endurance": words.size("1GB", "9999TB"),
        "retention": named(_kept, MAX_STREAMS),
        "sacrifice": items(words.text, MAX_STREAMS),
    },
)

TOP: Shape[Mapping[str, Any]] = Shape(
    dict,
    {"dcu": DCU, "uplink": _uplink, "timetable": timetable},
    {
        "buses": items(BUS, MAX_BUSES),
        "access": named(access, MAX_ACCESS),
        "clock": CLOCK,
        "store": STORE,
        "groups": named(group, MAX_GROUPS),
        "keys": keys_file,
        "new_keys": keys_file,
        "meters": items(METER, MAX_METERS),
    },
)
