"""A companion profile as the YAML that `dcu.profiles` reads, for an operator to keep and to correct.

It needs no YAML library; what is written was found by `exploring`, or by hand.
"""

from collections.abc import Iterable, Iterator

from dcu.dlms.names import object_name
from dcu.model import Attribute, EventCode
from dcu.obis import format_obis
from dcu.profiles import CompanionProfile, ProfileStream


def written(profile: CompanionProfile) -> str:
    """Return what describes the clock and all else that `profile` says of its meters, but clients and tasks."""
    return "\n".join(_lines(profile)) + "\n"


def _lines(profile: CompanionProfile) -> Iterator[str]:
    yield f"clock: {_named(profile.clock, 8)}"
    yield f"disconnect: {_named(profile.disconnect, 70)}"
    if profile.nameplate:
        yield f"nameplate: {_named(profile.nameplate, 7)}"
    yield from _section("identity", (f"{name}: {_named(each, 1)}" for name, each in profile.identity.items()))
    yield from _section("registers", (f"- {_named(each, 3)}{_remark(each.name)}" for each in profile.registers))
    yield from _section("streams", (line for item in profile.streams.items() for line in _stream(*item)))
    yield from _section("event_codes", _tables(profile))
    if profile.status:
        columns = (f"  - {format_obis(name)}" for name in sorted(profile.status.columns))
        conditions = (f'  {bit}: "{name}"' for bit, name in profile.status.bits.items())
        yield from _section("status", ["columns:", *columns, "bits:", *conditions])
    if profile.alarms:
        filtered = [f"filter: {_named(profile.alarms.filter, 1)}"] if profile.alarms.filter else []
        bits = [f"  {line}" for line in _codes(profile.alarms.bits.items())]
        register = f"register: {_named(profile.alarms.register, 1)}"
        yield from _section("alarms", [register, *filtered, *(["bits:", *bits] if bits else [])])


def _section(name: str, lines: Iterable[str]) -> Iterator[str]:
    inner = [f"  {line}" for line in lines]
    if inner:
        yield from ["", f"{name}:", *inner]


def _stream(name: str, stream: ProfileStream) -> Iterator[str]:
    entries = [f"object: {format_obis(stream.name)}"]
    entries += [f"period: {stream.period}s"] if stream.period else []
    entries += [f"scalers: {format_obis(stream.scalers)}"] if stream.scalers else []
    entries += ["whole: true"] if stream.whole else []
    if not stream.columns:
        yield f"{name}: {{{', '.join(entries)}}}{_remark(stream.name)}"
        return
    yield f"{name}:{_remark(stream.name)}"
    yield from (f"  {entry}" for entry in entries)
    yield "  columns:"
    yield from (f"    - {format_obis(column)}{_remark(column)}" for column in stream.columns)


def _tables(profile: CompanionProfile) -> Iterator[str]:
    for stream, codes in profile.event_codes.items():
        if codes:
            yield f"{stream}:"
            yield from (f"  {line}" for line in _codes(codes.items()))


def _codes(codes: Iterable[tuple[int, EventCode]]) -> Iterator[str]:
    for number, code in codes:
        restores = "" if code.restores is None else f", restores: {code.restores}"
        yield f'{number}: {{name: "{code.name}", severity: {code.severity}{restores}}}'


def _named(attribute: Attribute, usual: int) -> str:
    name = format_obis(attribute.name)
    return name if attribute.class_id == usual else f"{attribute.class_id} {name}"


def _remark(name: bytes) -> str:
    """Return what the object usually is, as a remark."""
    words = object_name(name)
    return f"    # {words}" if words else ""
