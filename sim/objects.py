"""The COSEM objects of a simulated meter: each attribute as A-XDR data, what may be written, what may be invoked.

The values are `sim.meter`'s; who is allowed to ask is decided in `sim.server`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import DateTime, Typed
from dcu.dlms.services import AccessError, Selection
from dcu.errors import MeterError
from dcu.model import Attribute
from dcu.obis import parse_obis
from sim import shelf
from sim.meter import DEVICE_NAME, FIRMWARE, SERIAL_NUMBER, Rows, SimMeter
from sim.models import MODELS, Model
from sim.profiles import CLOCK, STATUS_PERIODS, SimProfile

ASSOCIATION = parse_obis("0-0:40.0.0.255")
DISCONNECT = parse_obis("0-0:96.3.10.255")
INVOCATION_COUNTER = parse_obis("0-0:43.1.0.255")
#: Consumer message text: what the head-end lets the display show.
MESSAGE = parse_obis("0-0:96.13.0.255")
MESSAGE_SIZE: Final = 4096

DATA, REGISTER, PROFILE_GENERIC, CLOCK_CLASS, ASSOCIATION_LN, DISCONNECT_CONTROL = 1, 3, 7, 8, 15, 70

#: Class versions that differ from 0 (Blue Book), and how many attributes and methods each class shows.
VERSIONS: Final = shelf.VERSIONS | {PROFILE_GENERIC: 1, ASSOCIATION_LN: 1}
SHAPES: Final = shelf.SHAPES | {
    DATA: (2, 0),
    REGISTER: (3, 1),
    PROFILE_GENERIC: (8, 2),
    CLOCK_CLASS: (9, 6),
    ASSOCIATION_LN: (9, 4),
    DISCONNECT_CONTROL: (4, 2),
}

READ_WRITE_DENIED: Final = AccessError(3)
OBJECT_UNDEFINED: Final = AccessError(4)
CLASS_INCONSISTENT: Final = AccessError(9)
OBJECT_UNAVAILABLE: Final = AccessError(11)
TYPE_UNMATCHED: Final = AccessError(12)

#: Selectors of a profile's buffer (IEC 62056-6-2, class 7).
_BY_RANGE, _BY_ENTRY = 1, 2

_READ_ONLY: Final = 1
_READ_WRITE: Final = 3
_FIFO: Final = 1
_CRYSTAL: Final = 1
_CONNECTED: Final = 1
_DISCONNECTED: Final = 0
#: Control mode 4: remote disconnection, remote reconnection, no manual one.
_CONTROL_MODE: Final = 4
_REMOTE_DISCONNECT, _REMOTE_RECONNECT = 1, 2
#: Method 6 of a clock, and how many seconds it takes (IEC 62056-6-2, class 8).
_SHIFT_TIME, _MAX_SHIFT = 6, 900


def _classes(model: Model) -> dict[bytes, int]:
    identity = (DEVICE_NAME, SERIAL_NUMBER, FIRMWARE, INVOCATION_COUNTER, MESSAGE)
    names = (*identity, *STATUS_PERIODS, model.conditions, *(log.code for log in model.logs))
    return {
        CLOCK: CLOCK_CLASS,
        ASSOCIATION: ASSOCIATION_LN,
        DISCONNECT: DISCONNECT_CONTROL,
        **dict.fromkeys(names, DATA),
        **dict.fromkeys(model.registers, REGISTER),
        **dict.fromkeys(model.profiles, PROFILE_GENERIC),
        **shelf.SHELF,
    }


#: By kind and number of phases: the class of every object, by logical name.
CLASSES: Final = {key: _classes(model) for key, model in MODELS.items()}


def classes(meter: SimMeter) -> dict[bytes, int]:
    """Return the class of every object of `meter`, by logical name."""
    return CLASSES[meter.plate.kind, meter.plate.phases]


def read(meter: SimMeter, attribute: Attribute, at: int, selection: Selection | None = None) -> Typed | AccessError:
    """Return the attribute at `at` (UTC seconds of the meter's clock), or why there is none."""
    known = classes(meter).get(attribute.name)
    if known != attribute.class_id:
        return OBJECT_UNDEFINED if known is None else CLASS_INCONSISTENT
    if attribute.index == 1:
        return axdr.octets(attribute.name)
    if attribute.class_id == PROFILE_GENERIC:
        return _read_profile(meter, meter.profiles[attribute.name], attribute.index, at, selection)
    if attribute.class_id in {DATA, REGISTER} and attribute.index == 2:
        return _typed(meter, attribute, at)
    if attribute.name not in shelf.SHELF:
        return _attributes(meter, attribute, at).get(attribute.index, OBJECT_UNAVAILABLE)
    return shelf.read(meter, attribute)


def write(meter: SimMeter, attribute: Attribute, value: Any, at: int) -> AccessError | None:
    """Write the plain `value`: the clock's time, the message, what is on the shelf. Return None when it was taken."""
    known = classes(meter).get(attribute.name)
    if known is None:
        return OBJECT_UNDEFINED
    if known != attribute.class_id:
        return CLASS_INCONSISTENT
    if attribute.name in shelf.SHELF:
        return shelf.write(meter, attribute, value)
    if (attribute.name, attribute.index) not in {(CLOCK, 2), (MESSAGE, 2)}:
        return READ_WRITE_DENIED
    try:
        if attribute.name == MESSAGE:
            meter.message = _message(value)
        else:
            meter.set_clock(at, _set_time(value))
    except (MeterError, TypeError, ValueError):
        return TYPE_UNMATCHED
    return None


def _message(value: Any) -> bytes:
    if not isinstance(value, bytes) or len(value) > MESSAGE_SIZE:
        raise TypeError
    return value


def _set_time(value: Any) -> int:
    moment = _moment(value)
    if moment is None:
        raise ValueError
    return moment


def invoke(meter: SimMeter, name: bytes, method: int, at: int, argument: Any = None) -> AccessError | None:
    """Invoke a method of the clock, the relay or of what is on the shelf. Return None when it was carried out."""
    if name not in classes(meter):
        return OBJECT_UNDEFINED
    if name == CLOCK:
        return _shift_time(meter, argument, at) if method == _SHIFT_TIME and meter.plate.shifts else READ_WRITE_DENIED
    if name in shelf.SHELF:
        return shelf.invoke(meter, name, method)
    if name != DISCONNECT or method not in {_REMOTE_DISCONNECT, _REMOTE_RECONNECT}:
        return READ_WRITE_DENIED
    meter.relay.switch(at, connected=method == _REMOTE_RECONNECT)
    return None


def _shift_time(meter: SimMeter, seconds: Any, at: int) -> AccessError | None:
    if type(seconds) is not int or abs(seconds) > _MAX_SHIFT:
        return TYPE_UNMATCHED
    meter.set_clock(at, at + seconds)
    return None


def _typed(meter: SimMeter, attribute: Attribute, at: int) -> Typed:
    """Return a captured value with the type this meter sends it in."""
    if attribute.name == INVOCATION_COUNTER:
        return axdr.u32(max(meter.heard, 0))
    if attribute.name == MESSAGE:
        return axdr.octets(meter.message)
    value: Any = meter.value(attribute, at)
    if isinstance(value, bytes):
        return axdr.octets(value)
    if register := meter.registers.get(attribute.name):
        return register.typed(value)
    if attribute.name == meter.model.conditions:
        return axdr.u32(value) if isinstance(value, int) else axdr.bits(value)
    return axdr.u8(value) if meter.model.code_octets == 1 else axdr.u16(value)


def _attributes(meter: SimMeter, attribute: Attribute, at: int) -> dict[int, Typed]:
    """Return the attributes of an object that are neither its name nor a captured value, by index."""
    if attribute.class_id == REGISTER:
        return {3: _scaler_unit(meter, attribute.name)}
    if attribute.class_id == CLOCK_CLASS:
        return _clock(meter.moment(at))
    if attribute.class_id == DISCONNECT_CONTROL:
        return _disconnector(connected=meter.relay.connected)
    if attribute.class_id == ASSOCIATION_LN:
        return {2: axdr.array(*(_object_element(*item) for item in classes(meter).items()))}
    return {}


def _scaler_unit(meter: SimMeter, name: bytes) -> Typed:
    register = meter.registers[name]
    return axdr.structure(axdr.i8(register.scaler), axdr.enum(register.unit))


def _clock(moment: DateTime) -> dict[int, Typed]:
    """Return a Clock that tells of no daylight saving (IEC 62056-6-2, class 8)."""
    never = axdr.octets(bytes.fromhex("ffffffffffffffffff800000"))
    return {
        2: axdr.date_time(moment),
        3: axdr.i16(0),
        4: axdr.u8(0),
        5: never,
        6: never,
        7: axdr.i8(0),
        8: axdr.boolean(False),
        9: axdr.enum(_CRYSTAL),
    }


def _disconnector(*, connected: bool) -> dict[int, Typed]:
    state = _CONNECTED if connected else _DISCONNECTED
    return {2: axdr.boolean(connected), 3: axdr.enum(state), 4: axdr.enum(_CONTROL_MODE)}


def _object_element(name: bytes, class_id: int) -> Typed:
    """Return an element of the object list (IEC 62056-6-2, class 15): class, version, name, access rights."""
    attributes, methods = SHAPES[class_id]
    mode = axdr.enum(_READ_WRITE if name in shelf.SHELF else _READ_ONLY)
    invoked = axdr.boolean(class_id == DISCONNECT_CONTROL or name in shelf.SHELF)
    rights = axdr.structure(
        axdr.array(*(axdr.structure(axdr.i8(i), mode, axdr.null()) for i in range(1, attributes + 1))),
        axdr.array(*(axdr.structure(axdr.i8(i), invoked) for i in range(1, methods + 1))),
    )
    return axdr.structure(axdr.u16(class_id), axdr.u8(VERSIONS.get(class_id, 0)), axdr.octets(name), rights)


def _read_profile(
    meter: SimMeter, profile: SimProfile, index: int, at: int, selection: Selection | None
) -> Typed | AccessError:
    if index == 2:
        try:
            wanted = _rows_of(profile, selection)
        except (MeterError, LookupError, TypeError, ValueError):
            return TYPE_UNMATCHED
        if profile.scalers:
            return axdr.array(axdr.structure(*(_scaler_unit(meter, column.name) for column in profile.columns)))
        return _buffer(meter, profile, meter.rows(profile, wanted, at), wanted.columns)
    if index == 7:
        return axdr.u32(len(meter.rows(profile, Rows(), at)))
    columns = (profile.time, *profile.columns)
    if profile.scalers:
        columns = tuple(replace(column, index=3) for column in profile.columns)
    values = {
        3: axdr.array(*map(_capture_object, columns)),
        4: axdr.u32(profile.period),
        5: axdr.enum(_FIFO),
        6: _capture_object(profile.time),
        8: axdr.u32(profile.capacity),
    }
    return values.get(index, OBJECT_UNAVAILABLE)


def _capture_object(column: Attribute) -> Typed:
    return axdr.structure(axdr.u16(column.class_id), axdr.octets(column.name), axdr.i8(column.index), axdr.u16(0))


def _rows_of(profile: SimProfile, selection: Selection | None) -> Rows:
    """Return what a decoded selection asks for; raises for a parameter of the wrong shape."""
    if selection is None:
        return Rows()
    if selection.selector == _BY_ENTRY:
        first, last, first_column, last_column = map(int, selection.parameter)
        numbers = range(len(profile.columns) + 1)[max(first_column - 1, 0) : last_column or None]
        return Rows(first=first, last=last, columns=tuple(numbers))
    if selection.selector != _BY_RANGE:
        raise ValueError
    _, start, end, chosen = selection.parameter
    known = [(column.class_id, column.name, column.index) for column in (profile.time, *profile.columns)]
    columns = tuple(known.index(tuple(column[:3])) for column in chosen) or None
    return Rows(_moment(start) or 0, _moment(end), columns=columns)


def _moment(value: Any) -> int | None:
    """Return the UTC second of a date-time, however it is tagged; None when it is unspecified."""
    # tag 25 is decoded already; most clients send the octet-string
    date_time = value if isinstance(value, DateTime) else DateTime.from_bytes(value)
    return date_time.utc()


def _buffer(meter: SimMeter, profile: SimProfile, times: Sequence[int], columns: tuple[int, ...] | None) -> Typed:
    """Return the rows of `times`, clock first; a compressed meter sends null for what repeats, or is one period on."""
    rows = []
    last_at = 0
    last: list[Typed] = []
    for at in times:
        values = [axdr.date_time(meter.moment(at)), *(_typed(meter, column, at) for column in profile.columns)]
        shown = values
        if meter.plate.compressed and last:
            shown = [axdr.null() if now == before else now for now, before in zip(values, last, strict=True)]
            # the client adds one period to the time above, so only an unbroken series may be shortened
            if meter.shown(at) - last_at == profile.period:
                shown[0] = axdr.null()
        rows.append(axdr.structure(*(shown if columns is None else (shown[number] for number in columns))))
        last_at, last = meter.shown(at), values
    return axdr.array(*rows)
