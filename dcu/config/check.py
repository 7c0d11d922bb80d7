"""Whether the sections agree: names used once and known where they are used, addresses in range, keys for every meter.

The form of each section has been judged before, in `shape`; a faulty entry is missing here and is not blamed twice.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from dcu.config.keys import KeyFile
from dcu.config.settings import BusConfig
from dcu.forms.node import Listing, Node, Scalar, Section
from dcu.forms.shape import Place, clipped, is_empty
from dcu.model import KEY_OCTETS, SIGNING_OCTETS, Access, Authentication, Framing, Meter, Task

T = TypeVar("T")

#: Known names shown beside one that is not known.
MAX_NAMES = 8

#: Addresses of single devices by octets of the HDLC server address; those below and above are reserved (IEC 62056-46,
#: 6.4.2.3). One octet has no room for a physical device: it names a logical one, of which 1 is the management.
HDLC_ADDRESSES = {1: range(0x01, 0x7E), 2: range(0x10, 0x7E), 4: range(0x10, 0x3FFE)}

#: The largest address of a logical device in one half of the HDLC server address.
LAST_LOGICAL_DEVICE = {1: 0x3FFD, 2: 0x7D, 4: 0x3FFD}

#: Passwords and HLS secrets are as long as they are.
ANY_LENGTH = 0

#: The mechanisms that share a password or secret with the meter.
_SECRETS = {Authentication.LLS, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_SHA256}


@dataclass(frozen=True, slots=True)
class Parts:
    """The sound entries of the sections that have to agree, each with its place; `root` is the whole file."""

    root: Place
    buses: list[tuple[BusConfig, Place]] = field(default_factory=list)
    access: list[tuple[Access, Place]] = field(default_factory=list)
    keys: KeyFile | None = None
    meters: list[tuple[Meter, Place]] = field(default_factory=list)
    timetable: list[tuple[Task, Place]] = field(default_factory=list)


def check(parts: Parts, profiles: Mapping[str, frozenset[str]]) -> None:
    """Report every disagreement; `profiles` are the streams of each companion profile."""
    _unique(parts.buses, "name", lambda bus: bus.name)
    _unique(parts.buses, "port", lambda bus: bus.port)
    _unique(parts.meters, "id", lambda meter: meter.id)
    _unique(parts.meters, "address", lambda meter: (meter.bus, meter.address, meter.logical_device))
    _known(parts.meters, "bus", lambda meter: meter.bus, _written(parts.root.key("buses").node, "name"))
    _known(parts.meters, "access", lambda meter: meter.access, _sections(parts.root.key("access").node))
    _known(parts.meters, "profile", lambda meter: meter.profile, profiles)
    _known_streams(parts, profiles)
    _framings(parts)
    _addresses(parts)
    _secrets(parts)


def _unique(entries: list[tuple[T, Place]], key: str, of: Callable[[T], Hashable]) -> None:
    first: dict[Hashable, Place] = {}
    for value, place in entries:
        used = first.setdefault(of(value), place)
        if used is not place:
            place.key(key).fault(f"one that {used.path} (line {used.line}) has not")


def _known(entries: list[tuple[T, Place]], key: str, of: Callable[[T], str], names: Collection[str]) -> None:
    for value, place in entries:
        if of(value) not in names:
            place.key(key).fault(_one_of(names))


def _one_of(names: Collection[str]) -> str:
    shown = map(clipped, sorted(names)[:MAX_NAMES])
    more = ", …" if len(names) > MAX_NAMES else ""
    return f"one of {', '.join(shown)}{more}" if names else "a name, and there is none yet"


def _written(listing: Node | None, key: str) -> set[str]:
    """Return the words under `key` in all entries, also those that are faulty otherwise."""
    entries = listing.items if isinstance(listing, Listing) else []
    pairs = (pair for entry in entries if isinstance(entry, Section) for pair in entry.entries)
    return {value.text for name, value in pairs if name.text == key and isinstance(value, Scalar)}


def _sections(node: Node | None) -> set[str]:
    return {name.text for name, _ in node.entries} if isinstance(node, Section) else set()


def _known_streams(parts: Parts, profiles: Mapping[str, frozenset[str]]) -> None:
    streams = frozenset().union(*profiles.values())
    for task, place in parts.timetable:
        if task.stream not in streams:
            place.report(f"no profile has this: expected {_one_of(streams)}")


def _framings(parts: Parts) -> None:
    for bus, place in parts.buses:
        if bus.framing is Framing.WRAPPER and not bus.on_network:
            place.key("framing").fault("hdlc on a device; wrapper needs tcp://HOST:PORT")


def _addresses(parts: Parts) -> None:
    buses = {bus.name: bus for bus, _ in parts.buses}
    for meter, place in parts.meters:
        bus = buses.get(meter.bus)
        if bus is None or bus.framing is Framing.WRAPPER:
            continue
        allowed, last = HDLC_ADDRESSES[bus.address_size], LAST_LOGICAL_DEVICE[bus.address_size]
        if meter.address not in allowed:
            place.key("address").fault(f"{allowed[0]} to {allowed[-1]}, for {bus.address_size}-octet HDLC addresses")
        if meter.logical_device > last:
            place.key("logical_device").fault(f"at most {last}, for {bus.address_size}-octet HDLC addresses")


def _secrets(parts: Parts) -> None:
    access = {each.name: needed_keys(each) for each, _ in parts.access}
    if parts.keys is None:
        _no_keys(parts, access)
        return
    for meter, place in parts.meters:
        keys = parts.keys.of(meter.id)
        for name, octets in access.get(meter.access, {}).items():
            found = len(getattr(keys, name))
            if not found:
                place.report(f"{parts.keys.path} has no {name} for {meter.id}: access {meter.access!r} needs it")
            elif octets not in {ANY_LENGTH, found}:
                needs = f"access {meter.access!r} needs {octets} octets, not {found}"
                place.report(f"{parts.keys.path}: {name} of {meter.id}: {needs}")


def _no_keys(parts: Parts, access: Mapping[str, Mapping[str, int]]) -> None:
    """Without any key file one fault stands for all meters; a key file that is faulty has been reported."""
    needing = [place for meter, place in parts.meters if access.get(meter.access)]
    if needing and is_empty(parts.root.key("keys").node):
        needing[0].key("access").fault("an access without secrets, or 'keys' with a file of them")


def needed_keys(access: Access) -> dict[str, int]:
    """Return the fields of `Keys` that an access cannot do without, and how many octets each must have."""
    needed: dict[str, int] = {}
    if access.authentication in _SECRETS:
        needed["password"] = ANY_LENGTH
    if access.ciphered or access.authentication is Authentication.HLS_GMAC:
        needed |= dict.fromkeys(("encryption_key", "authentication_key"), KEY_OCTETS[access.suite])
    if access.authentication is Authentication.HLS_ECDSA and access.suite in SIGNING_OCTETS:
        octets = SIGNING_OCTETS[access.suite]
        needed |= {"signing_key": octets, "verifying_key": 2 * octets}
    return needed
