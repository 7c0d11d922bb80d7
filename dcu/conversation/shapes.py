"""What each stream of a meter looks like: its columns, their scalers and units, its period, as the meter itself says.

Nothing is assumed from the companion profile but where to look. How rows are asked for and read is in `visit`, and
where shapes are kept in `archive`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from dcu.conversation.session import Session
from dcu.dlms import cosem
from dcu.dlms.services import AccessError, Get
from dcu.errors import MeterError
from dcu.model import ALARM, INSTANT, Attribute, Column
from dcu.obis import format_obis, parse_obis
from dcu.profiles import CompanionProfile

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD = 2, 3, 4

#: Where scaler_unit lives in the classes that have one, and which attributes it is about (Blue Book: Register, Extended
#: register, Demand register).
SCALER_UNIT = {3: 3, 4: 3, 5: 4}
SCALED = {(3, 2), (4, 2), (5, 2), (5, 3)}

#: Access results that will not change by themselves: read-write denied, object undefined, class inconsistent,
#: unavailable (IEC 62056-5-3, Data-Access-Result).
LASTING = {3, 4, 9, 11}

#: What an answer that makes no sense counts as: "other reason" (ibid.), which may pass.
NONSENSE = AccessError(250)

#: Scaler and unit by class and logical name; None: the meter will not tell, an AccessError: not now, or
#: it tells nonsense.
Scalers = Mapping[tuple[int, bytes], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one stream of a meter holds: its columns (the clock column included) and its capture period in s, or 0.

    Without columns, the meter or its companion profile has no such stream. `partial`: a register is left out that may
    come back, so this is not worth keeping.
    """

    columns: tuple[Column, ...]
    period: int
    partial: bool = False


NOTHING = Shape((), 0)


def to_data(shape: Shape) -> dict[str, Any]:
    """Return a shape in a form that JSON can keep."""
    columns = [[c.class_id, format_obis(c.name), c.index, c.data_index, c.scaler, c.unit] for c in shape.columns]
    return {"period": shape.period, "columns": columns}


def from_data(data: Mapping[str, Any]) -> Shape:
    """Return the shape that `to_data` kept."""
    columns = tuple(Column(class_id, parse_obis(name), *rest) for class_id, name, *rest in data["columns"])
    return Shape(columns, data["period"])


def missing(profile: CompanionProfile, stream: str, shape: Shape) -> list[bytes]:
    """Return the logical names that meters of this kind capture in `stream`, says `profile`, and this one does not.

    Nothing is missing of a stream that the meter does not have.
    """
    promised = profile.streams[stream].columns if stream in profile.streams and shape.columns else ()
    return [name for name in promised if name not in {column.name for column in shape.columns}]


async def learn(
    session: Session,
    profile: CompanionProfile,
    streams: Sequence[str],
    lists: Mapping[str, Sequence[Attribute]] = MappingProxyType({}),
) -> dict[str, Shape]:
    """Ask the meter for the shapes of `streams`; NOTHING where the meter does not have it.

    A stream of which it tells something not now, or nonsense, is left out: what is learned is kept for long, and rows
    by a wrong scaler cannot be mended. All profiles are asked at once, then all scalers: each request costs a turn of
    the line. `lists` has the attributes of those streams that are lists of the operator's own.
    """
    held = [stream for stream in streams if stream in profile.streams]
    found: dict[str, Shape | None] = dict.fromkeys(streams, NOTHING)
    found |= await _profile_shapes(session, profile, held)
    if ALARM in streams and profile.alarms:
        found[ALARM] = await _alarm_shape(session, profile.alarms.register)
    registers = [stream for stream in streams if stream in lists or (stream == INSTANT and INSTANT not in held)]
    for stream in registers:
        listed = lists.get(stream, profile.registers)
        found[stream] = Shape(tuple(Column(each.class_id, each.name, each.index) for each in listed), 0)
    named = {stream: name for stream in held if (name := profile.streams[stream].scalers)}
    scalers, silent = await _scaler_profiles(session, list(dict.fromkeys(named.values())))
    known = {stream: shape for stream, shape in found.items() if shape is not None and named.get(stream) not in silent}
    columns = [column for shape in known.values() for column in shape.columns]
    scalers |= await _scalers(session, [column for column in columns if _key(column) not in scalers])
    for stream in registers:
        known[stream] = _without_denied(known[stream], scalers)
    return {
        stream: replace(shape, columns=_scaled(shape.columns, scalers))
        for stream, shape in known.items()
        if not any(isinstance(scalers.get(_key(column)), AccessError) for column in shape.columns)
    }


def _without_denied(shape: Shape, scalers: Scalers) -> Shape:
    """Return the shape of a list of registers without those the meter lacks, or does not tell the scaler of now.

    A profile's column keeps its place in the rows instead.
    """
    told = [(column, scalers.get(_key(column), column)) for column in shape.columns]
    columns = tuple(column for column, scaler in told if scaler is not None and not isinstance(scaler, AccessError))
    return Shape(columns, 0, partial=any(isinstance(scaler, AccessError) for _, scaler in told))


def _key(column: Column) -> tuple[int, bytes]:
    return column.class_id, column.name


async def _profile_shapes(
    session: Session, profile: CompanionProfile, streams: Sequence[str]
) -> dict[str, Shape | None]:
    """Return the shapes of profiles by stream, scalers and units not yet known; None where one is not told now."""
    asked = [
        Get(Attribute(PROFILE_GENERIC, profile.streams[stream].name, index))
        for stream in streams
        for index in (CAPTURE_OBJECTS, CAPTURE_PERIOD)
    ]
    answers = iter(await session.get(asked) if asked else ())
    return {
        stream: _profile_shape(objects, period)
        for stream, objects, period in zip(streams, answers, answers, strict=True)
    }


def _profile_shape(objects: Any, period: Any) -> Shape | None:
    if _denied(objects) or _denied(period):
        return NOTHING
    if isinstance(objects, AccessError) or isinstance(period, AccessError):
        return None
    if type(period) is not int or period < 0:
        return None
    try:
        return Shape(cosem.decode_capture_objects(objects), period)
    except MeterError:  # one profile that makes no sense must not cost the others
        return None


async def _alarm_shape(session: Session, register: Attribute) -> Shape | None:
    (answer,) = await session.get([Get(register)])
    if isinstance(answer, AccessError):
        return NOTHING if _denied(answer) else None
    return Shape((Column(register.class_id, register.name, register.index),), 0)


async def _scaler_profiles(
    session: Session, names: Sequence[bytes]
) -> tuple[dict[tuple[int, bytes], Any], set[bytes | None]]:
    """Return scaler and unit of what profiles with one row of them speak of (IS 15959), and which tell none now."""
    asked = scaler_profile_questions(names)
    answers = iter(await session.get(asked) if asked else ())
    found: dict[tuple[int, bytes], Any] = {}
    silent: set[bytes | None] = set()
    for name, objects, buffer in zip(names, answers, answers, strict=True):
        if _denied(objects) or _denied(buffer):
            continue
        told = told_scalers(objects, buffer)
        if told is None:
            silent.add(name)
        else:
            found |= told
    return found, silent


def scaler_profile_questions(names: Iterable[bytes]) -> list[Get]:
    """Return what tells which scalers are in the profiles of these `names`, and then the scalers; one after another."""
    return [Get(Attribute(PROFILE_GENERIC, name, index)) for name in names for index in (CAPTURE_OBJECTS, BUFFER)]


def told_scalers(objects: Any, buffer: Any) -> dict[tuple[int, bytes], Any] | None:
    """Return what the one row in `buffer` says of scaler and unit; None where it is not told now, or nonsense."""
    try:
        columns = cosem.decode_capture_objects(objects)
    except MeterError:
        return None
    row = buffer[0] if isinstance(buffer, list) and len(buffer) == 1 else buffer
    if not isinstance(row, list) or len(row) != len(columns):
        return None
    pairs = zip(columns, row, strict=True)
    return {
        _key(column): scaler_of(value) for column, value in pairs if SCALER_UNIT.get(column.class_id) == column.index
    }


async def _scalers(session: Session, columns: Sequence[Column]) -> dict[tuple[int, bytes], Any]:
    """Return what the meter's objects say of scaler and unit; an AccessError where one is not told now."""
    objects = list(dict.fromkeys(_key(c) for c in columns if (c.class_id, c.index) in SCALED))
    if not objects:
        return {}
    answers = await session.get([Get(Attribute(kind, name, SCALER_UNIT[kind])) for kind, name in objects])
    return {key: scaler_of(answer) for key, answer in zip(objects, answers, strict=True)}


def scaler_of(answer: Any) -> Any:
    """Return what is known of scaler and unit by this `answer`, as Scalers has it."""
    if answer is None or _denied(answer):
        return None
    if isinstance(answer, AccessError):
        return answer
    try:
        return cosem.decode_scaler_unit(answer)
    except MeterError:
        return NONSENSE


def _denied(answer: Any) -> bool:
    """Whether `answer` is a lasting no."""
    return isinstance(answer, AccessError) and answer.code in LASTING


def _scaled(columns: Sequence[Column], scalers: Scalers) -> tuple[Column, ...]:
    """Return `columns` with scaler and unit; (0, 255) where the meter tells none."""
    scaled = []
    for column in columns:
        answer = scalers.get(_key(column)) if (column.class_id, column.index) in SCALED else None
        scaler, unit = answer or (0, 255)
        scaled.append(replace(column, scaler=scaler, unit=unit))
    return tuple(scaled)
