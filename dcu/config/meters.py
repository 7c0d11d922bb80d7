"""Whether a line of the archive agrees with the others and with what it names: buses, access, profiles, secrets.

The form of a line has been judged before, in `dcu.forms`; lines of the file and those added later are judged alike.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from dcu.config.keys import KeyFile
from dcu.config.needed import ANY_LENGTH, GLOBAL_KEYS, needed_keys
from dcu.config.settings import GENERIC, BusConfig, DiscoverSettings
from dcu.forms.shape import Place, clipped
from dcu.model import Access, Framing, Meter

#: Known names shown beside one that is not known.
MAX_NAMES = 8

#: Addresses of single devices by octets of the HDLC server address; those below and above are reserved (IEC 62056-46,
#: 6.4.2.3). One octet has no room for a physical device: it names a logical one, of which 1 is the management.
HDLC_ADDRESSES = {1: range(0x01, 0x7E), 2: range(0x10, 0x7E), 4: range(0x10, 0x3FFE)}

#: The largest address of a logical device in one half of the HDLC server address.
LAST_LOGICAL_DEVICE = {1: 0x3FFD, 2: 0x7D, 4: 0x3FFD}


@dataclass(slots=True)
class Known:
    """What a line has to agree with: `buses` and `access` are the sound ones, the names all that are written.

    `keys` is None where there is no file of secrets, or none that could be read; `new_keys` likewise.
    """

    buses: Mapping[str, BusConfig]
    access: Mapping[str, Access]
    bus_names: Collection[str]
    access_names: Collection[str]
    profiles: Collection[str]
    keys: KeyFile | None
    new_keys: KeyFile | None = None
    groups: Collection[str] = ()
    _stands: dict[tuple[str, Hashable], str] = field(default_factory=dict)

    def stands(self, meter: Meter, where: str) -> None:
        """Note a line that is there already; one that has the same has to give way to it, and is told `where`."""
        for _, mark in _marks(meter):
            self._stands.setdefault(mark, where)

    def judge(self, meter: Meter, place: Place, where: str) -> None:
        """Report at `place` all that a line disagrees in; from then on it stands there too."""
        for key, mark in _marks(meter):
            if mark in self._stands:
                place.key(key).fault(f"another than {self._stands[mark]} has")
        self.stands(meter, where)
        for key, names in (("bus", self.bus_names), ("access", self.access_names), ("profile", self.profiles)):
            if getattr(meter, key) not in names:
                place.key(key).fault(one_of(names))
        if meter.group and meter.group not in self.groups:
            place.key("group").fault(one_of(self.groups))
        self._address(meter, place)
        if self.keys is not None:
            self._secrets(meter, place, self.keys)

    def judge_search(self, bus: BusConfig, search: DiscoverSettings, place: Place) -> None:
        """Report at `place` what the search for new meters on `bus` disagrees in."""
        if search.access not in self.access_names:
            place.key("access").fault(one_of(self.access_names))
        for name in sorted({*search.profiles.values(), search.profile or GENERIC} - {*self.profiles}):
            place.report(f"no profile {clipped(name)!r}: expected {one_of(self.profiles)}")
        allowed = HDLC_ADDRESSES[bus.address_size]
        if bus.framing is not Framing.WRAPPER and any(
            span[0] not in allowed or span[-1] not in allowed for span in search.addresses
        ):
            place.key("addresses").fault(f"{allowed[0]} to {allowed[-1]}, for {bus.address_size}-octet HDLC addresses")
        if self.keys is not None and search.access in self.access:
            stranger, needed = Meter("", bus.name, 0, search.access, ""), needed_keys(self.access[search.access])
            _present(self.keys, stranger, needed, place)
            _fitting(self.keys, stranger, needed, place)

    def _address(self, meter: Meter, place: Place) -> None:
        bus = self.buses.get(meter.bus)
        if bus is None or bus.framing is Framing.WRAPPER:
            return
        allowed, last = HDLC_ADDRESSES[bus.address_size], LAST_LOGICAL_DEVICE[bus.address_size]
        if meter.address not in allowed:
            place.key("address").fault(f"{allowed[0]} to {allowed[-1]}, for {bus.address_size}-octet HDLC addresses")
        if meter.logical_device > last:
            place.key("logical_device").fault(f"at most {last}, for {bus.address_size}-octet HDLC addresses")

    def _secrets(self, meter: Meter, place: Place, file: KeyFile) -> None:
        """New secrets may be missing; those that are there must fit, and new keys travel under the master key."""
        access = self.access.get(meter.access)
        needed = needed_keys(access) if access else {}
        _present(file, meter, needed, place)
        # no meter has to answer under the broadcast key; one that is there has to fit
        symmetric = needed.get(GLOBAL_KEYS[0])
        _fitting(file, meter, needed | ({"broadcast_key": symmetric} if symmetric else {}), place)
        if self.new_keys is None:
            return
        _fitting(self.new_keys, meter, needed, place)
        new = self.new_keys.of(meter.id)
        travelling = [name for name in GLOBAL_KEYS if name in needed and getattr(new, name)]
        wrapping = {"master_key": needed[travelling[0]]} if travelling else {}
        _present(file, meter, wrapping, place)
        _fitting(file, meter, wrapping, place)


def _present(file: KeyFile, meter: Meter, needed: Mapping[str, int], place: Place) -> None:
    for name in needed:
        if not getattr(file.of(meter.id), name):
            place.report(f"{file.path} has no {name} for {_whose(meter)}: access {meter.access!r} needs it")


def _fitting(file: KeyFile, meter: Meter, needed: Mapping[str, int], place: Place) -> None:
    for name, octets in needed.items():
        found = len(getattr(file.of(meter.id), name))
        if found and octets not in {ANY_LENGTH, found}:
            needs = f"access {meter.access!r} needs {octets} octets, not {found}"
            place.report(f"{file.path}: {name} of {_whose(meter)}: {needs}")


def _whose(meter: Meter) -> str:
    """Return under which name the secrets of `meter` stand, or of one that has no name yet."""
    return meter.id or "default"


def _marks(meter: Meter) -> Iterator[tuple[str, tuple[str, Hashable]]]:
    """Yield what only one line may have: the key that a fault is told of, and the value with its kind."""
    yield "id", ("id", meter.id)
    yield "address", ("address", (meter.bus, meter.address, meter.logical_device))
    if meter.serial:
        yield "serial", ("serial", meter.serial)


def one_of(names: Collection[str]) -> str:
    """Return what is expected where one of `names` has to stand."""
    shown = map(clipped, sorted(names)[:MAX_NAMES])
    more = ", …" if len(names) > MAX_NAMES else ""
    return f"one of {', '.join(shown)}{more}" if names else "a name, and there is none yet"
