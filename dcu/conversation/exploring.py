"""A meter of which nothing is known is asked for its objects, and what they are is said as a companion profile.

What an object usually is follows from its logical name (IEC 62056-6-1) and its class; what a maker uses otherwise
has to be corrected by hand. Where what was found is kept, and who asks, is not here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dcu.clock import DAY
from dcu.conversation.session import Session
from dcu.conversation.shapes import CAPTURE_OBJECTS, CAPTURE_PERIOD, PROFILE_GENERIC
from dcu.dlms import cosem
from dcu.dlms.services import AccessError, Get
from dcu.errors import MeterError, NotGivenError, excerpt
from dcu.model import INSTANT, Attribute
from dcu.obis import format_obis, parse_obis
from dcu.profiles import Alarms, CompanionProfile, ProfileStream

#: The association itself, whose second attribute lists what there is (IEC 62056-6-2, class 15).
ASSOCIATION: Final = Attribute(15, b"\x00\x00\x28\x00\x00\xff")

#: Objects of one meter that are looked at, and of those: registers read as instantaneous values, profiles as streams.
MAX_OBJECTS: Final = 4096
MAX_REGISTERS: Final = 40
MAX_STREAMS: Final = 32

_DATA, _REGISTER = 1, 3
_ALARM_REGISTERS: Final = tuple(map(parse_obis, ("0-0:97.98.0.255", "0-0:94.91.18.255")))
_IDENTITY: Final = {
    "device_name": parse_obis("0-0:42.0.0.255"),
    "serial": parse_obis("0-0:96.1.0.255"),
    "firmware": parse_obis("1-0:0.2.0.255"),
}

#: Value groups C and D of profiles by what they are usually called; load profiles are told apart by their period.
_BILLING, _LOADS, _LOGS, _OWN = (98, 1), {(99, 1), (99, 2), (99, 3)}, (99, 98), (94, 91)

_Objects = Sequence[tuple[int, bytes]]


async def explore(session: Session, profile: CompanionProfile) -> CompanionProfile:
    """Ask the meter what it has; `profile` says where its clock and its relay are if it does not.

    Raises NotGivenError when it will not tell, and what `Session.get` raises.
    """
    (answer,) = await session.get([Get(ASSOCIATION)])
    if isinstance(answer, AccessError):
        raise NotGivenError(f"the meter does not tell its objects: {answer}")
    objects = _objects(answer)
    names = [name for kind, name in objects if kind == PROFILE_GENERIC][:MAX_STREAMS]
    asked = [
        Get(Attribute(PROFILE_GENERIC, name, index)) for name in names for index in (CAPTURE_OBJECTS, CAPTURE_PERIOD)
    ]
    answers = iter(await session.get(asked) if asked else ())
    held = {name: (columns, period) for name, columns, period in zip(names, answers, answers, strict=True)}
    return companion(profile, objects, {name: each for name in held if (each := _held(*held[name]))})


def companion(profile: CompanionProfile, objects: _Objects, held: Mapping[bytes, ProfileStream]) -> CompanionProfile:
    """Return the profile of a meter with these `objects` (class id, logical name) and profiles, by logical name."""
    by_class: dict[int, list[bytes]] = {}
    for kind, name in objects:
        by_class.setdefault(kind, []).append(name)
    streams = _streams(held)
    alarms = next((name for name in _ALARM_REGISTERS if name in by_class.get(_DATA, ())), None)
    return CompanionProfile(
        name=profile.name,
        clock=_first(by_class, profile.clock),
        disconnect=_first(by_class, profile.disconnect),
        identity={word: Attribute(_DATA, name) for word, name in _IDENTITY.items() if name in by_class.get(_DATA, ())},
        registers=() if INSTANT in streams else _registers(by_class.get(_REGISTER, ())),
        streams=streams,
        event_codes={stream: profile.event_codes.get(stream, {}) for stream in streams if stream.startswith("event.")},
        alarms=None if alarms is None else Alarms(Attribute(_DATA, alarms)),
        status=profile.status,
    )


def _objects(answer: Any) -> _Objects:
    if not isinstance(answer, list) or len(answer) > MAX_OBJECTS:
        raise MeterError(f"the object list is no list of up to {MAX_OBJECTS}")
    found = []
    for element in answer:
        match element:
            case [int(kind), _, bytes(name), *_] if len(name) == 6:
                found.append((kind, name))
            case _:
                raise MeterError(f"not an object: {excerpt(element)}")
    return found


def _held(objects: Any, period: Any) -> ProfileStream | None:
    """Return what a profile holds (its name is not known here), None when that is no rows with a time."""
    if isinstance(objects, AccessError) or type(period) is not int:
        return None
    columns = cosem.decode_capture_objects(objects)
    clock = cosem.clock_column(columns)
    if clock is None:
        return None
    return ProfileStream(b"", period or None, tuple(column.name for column in columns))


def _first(by_class: Mapping[int, Sequence[bytes]], usual: Attribute) -> Attribute:
    names = by_class.get(usual.class_id, [usual.name])
    return usual if usual.name in names else Attribute(usual.class_id, names[0])


def _registers(names: Iterable[bytes]) -> tuple[Attribute, ...]:
    """Return the energies since ever and the values of this moment, without tariffs (groups D and E)."""
    momentary = [name for name in names if name[0] == 1 and name[3] in {7, 8} and name[4] == 0 and name[5] == 0xFF]
    return tuple(Attribute(_REGISTER, name) for name in sorted(momentary, key=lambda name: (-name[3], name[2])))[
        :MAX_REGISTERS
    ]


def _streams(held: Mapping[bytes, ProfileStream]) -> dict[str, ProfileStream]:
    streams: dict[str, ProfileStream] = {}
    for name, stream in sorted(held.items()):
        word = _called(name, stream.period)
        number = sum(1 for known in streams if known == word or known.startswith(f"{word}-"))
        # the period and the columns stand there for who reads it; the meter itself is asked for them again
        streams[word if not number else f"{word}-{number + 1}"] = ProfileStream(name, stream.period, stream.columns)
    return streams


def _called(name: bytes, period: int | None) -> str:
    group, place = (name[2], name[3]), name[4]
    if group == _LOGS:
        return f"event.{place}"
    if group == _BILLING:
        return "billing"
    if group in _LOADS:
        return "daily" if period and period >= DAY else f"load{0 if group == (99, 1) else 1}"
    if group == _OWN and place == 0:
        return INSTANT
    return f"other.{'.'.join(map(str, name[:5]))}"


def to_data(profile: CompanionProfile) -> dict[str, Any]:
    """Return what was found in a form that JSON can keep."""

    def plain(attribute: Attribute) -> list[Any]:
        return [attribute.class_id, format_obis(attribute.name)]

    return {
        "clock": plain(profile.clock),
        "disconnect": plain(profile.disconnect),
        "identity": {word: plain(each) for word, each in profile.identity.items()},
        "registers": [plain(each) for each in profile.registers],
        "streams": {stream: [format_obis(each.name), each.period] for stream, each in profile.streams.items()},
        "alarms": plain(profile.alarms.register) if profile.alarms else None,
    }


def from_data(profile: CompanionProfile, data: Mapping[str, Any]) -> CompanionProfile:
    """Return the profile that `to_data` kept of a meter that follows `profile`."""

    def attribute(pair: Sequence[Any]) -> Attribute:
        return Attribute(pair[0], parse_obis(pair[1]))

    streams = {stream: ProfileStream(parse_obis(name), period) for stream, (name, period) in data["streams"].items()}
    return CompanionProfile(
        name=profile.name,
        clock=attribute(data["clock"]),
        disconnect=attribute(data["disconnect"]),
        identity={word: attribute(each) for word, each in data["identity"].items()},
        registers=tuple(map(attribute, data["registers"])),
        streams=streams,
        event_codes={stream: profile.event_codes.get(stream, {}) for stream in streams if stream.startswith("event.")},
        alarms=Alarms(attribute(data["alarms"])) if data["alarms"] else None,
        status=profile.status,
    )
