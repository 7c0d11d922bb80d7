"""The rare objects of a simulated meter: what they hold when it leaves the factory, and what was written since.

They take what has the right shape and do no more with it; a calendar and a price become active when they are told to.
"""

from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import BitString, Typed
from dcu.dlms.rare_types import TYPES, Kind, typed
from dcu.dlms.services import AccessError
from dcu.model import Attribute
from dcu.obis import parse_obis
from sim.meter import SimMeter

READ_WRITE_DENIED: Final = AccessError(3)
OBJECT_UNAVAILABLE: Final = AccessError(11)
TYPE_UNMATCHED: Final = AccessError(12)

#: The class of each object, by logical name.
SHELF: Final = {
    parse_obis(name): class_id
    for name, class_id in (
        ("0-0:10.0.100.255", 9),
        ("0-0:11.0.0.255", 11),
        ("0-0:41.0.0.255", 17),
        ("0-0:44.0.0.255", 18),
        ("0-0:13.0.0.255", 20),
        ("0-0:16.1.0.255", 21),
        ("0-0:15.0.0.255", 22),
        ("0-0:25.9.0.255", 40),
        ("0-0:43.0.0.255", 64),
        ("0-0:17.0.0.255", 71),
        ("0-0:19.0.0.255", 111),
        ("0-0:19.10.0.255", 112),
        ("0-0:19.20.0.255", 113),
        ("0-0:19.40.0.255", 115),
    )
}
#: Versions of these classes that are not 0, and how many attributes and methods each has.
VERSIONS: Final = {40: 2, 64: 1}
SHAPES: Final = {
    9: (2, 1),
    11: (2, 2),
    17: (2, 1),
    18: (7, 4),
    20: (10, 1),
    21: (4, 0),
    22: (4, 0),
    40: (13, 2),
    64: (6, 8),
    71: (11, 0),
    111: (19, 3),
    112: (11, 3),
    113: (13, 5),
    115: (6, 1),
}

_BOOL, _BIT, _OCTET, _ENUM = axdr.BOOLEAN, axdr.BIT_STRING, axdr.OCTET_STRING, axdr.ENUM
_I8, _I16, _I32 = axdr.INTEGER, axdr.LONG, axdr.DOUBLE_LONG
_U8, _U16, _U32 = axdr.UNSIGNED, axdr.LONG_UNSIGNED, axdr.DOUBLE_LONG_UNSIGNED
_SCRIPT: Final = (_OCTET, _U16)
_MONITORED: Final = (_U16, _OCTET, _I8)
_SEASONS: Final[Kind] = [(_OCTET, _OCTET, _OCTET)]
_WEEKS: Final[Kind] = [(_OCTET, *(_U8,) * 7)]
_DAYS: Final[Kind] = [(_U8, [(_OCTET, _OCTET, _U16)])]
#: The types of what the client lets gurux type, or does not write at all.
_KINDS: Final[dict[tuple[int, int], Kind]] = {
    (11, 2): [(_U16, _OCTET, _U8)],
    (17, 2): [(_U16, _OCTET)],
    **dict.fromkeys(((18, 2), (18, 4)), _U32),
    (18, 3): _BIT,
    (18, 5): _BOOL,
    (18, 6): _ENUM,
    (18, 7): [(_U32, _OCTET, _OCTET)],
    **dict.fromkeys(((20, 2), (20, 6)), _OCTET),
    **dict.fromkeys(((20, 3), (20, 7)), _SEASONS),
    **dict.fromkeys(((20, 4), (20, 8)), _WEEKS),
    **dict.fromkeys(((20, 5), (20, 9)), _DAYS),
    (20, 10): _OCTET,
    (22, 2): _SCRIPT,
    (22, 3): _ENUM,
    (22, 4): [(_OCTET, _OCTET)],
    (40, 3): (_ENUM, _OCTET, _ENUM),
    (40, 4): [(_OCTET, _OCTET)],
    (40, 5): _U16,
    (40, 6): _U8,
    **dict.fromkeys(((40, 13), (64, 5), (113, 10), (115, 2), (115, 3)), _OCTET),
    **dict.fromkeys(((64, 2), (64, 3), (112, 3), (112, 8), (113, 3), (115, 5)), _ENUM),
    (64, 6): [(_ENUM, _ENUM, _OCTET, _OCTET, _OCTET, _OCTET)],
    (71, 3): _U32,
    (71, 10): _BOOL,
    (111, 2): (_ENUM, _ENUM),
    (111, 3): _U8,
    (111, 4): _BIT,
    **dict.fromkeys(((111, 5), (111, 6), (111, 8), (112, 2), (113, 2), (113, 11), (113, 12)), _I32),
    (115, 4): [_OCTET],
    (115, 6): (_ENUM, _BIT),
    **dict.fromkeys(((71, 6), (71, 7)), _U32),
    (71, 8): (_U16, _OCTET, _U32),
    (71, 9): [_U16],
    (71, 11): (_SCRIPT, _SCRIPT),
    **dict.fromkeys(((111, 13), (111, 14), (112, 11), (113, 7)), _OCTET),
    (111, 15): (axdr.UTF8_STRING, _I8, _ENUM),
    **dict.fromkeys(((111, 16), (111, 17)), _I32),
    (113, 5): ((_I8, _I8), _MONITORED, [(_OCTET, _I16)]),
}
_NEVER: Final = bytes.fromhex("ffffffffffffffffff8000ff")
_NO_NAME: Final = bytes(6)
#: What is not empty, zero or never in a new meter.
_FACTORY: Final[dict[tuple[int, int], Any]] = {
    (20, 2): b"FACTORY",
    (20, 6): b"FACTORY",
    (40, 3): [0, b"", 0],
    (71, 8): [0, _NEVER, 0],
    (111, 15): ["EUR", -2, 0],
    **dict.fromkeys(((112, 7), (113, 9)), BitString(0, 5)),
    **{(113, attribute): [[0, 0], [0, _NO_NAME, 0], []] for attribute in (5, 6)},
    **dict.fromkeys(((20, 10), (40, 13), (113, 10), (115, 3), (111, 13), (111, 14), (112, 11), (113, 7)), _NEVER),
}
#: By class and method: which attributes become those that come so many places after them.
_ACTIVATED: Final = {(20, 1): ((2, 3, 4, 5), 4), (113, 2): ((5,), 1)}
_OTHERS: Final = {
    *((9, 1), (11, 1), (11, 2), (17, 1), (40, 1), (40, 2), (64, 1), (111, 1), (111, 2), (111, 3)),
    *((112, 1), (112, 2), (112, 3), (113, 1), (113, 3), (113, 4), (113, 5)),
    *((18, 1), (18, 2), (18, 3), (18, 4)),
}


def read(meter: SimMeter, attribute: Attribute) -> Typed | AccessError:
    """Return what an object of the shelf holds."""
    key = attribute.class_id, attribute.index
    kind = _kind(key)
    if kind is None:
        return OBJECT_UNAVAILABLE
    held = meter.shelf.get(key)
    return typed(kind, _factory(key, kind) if held is None else held)


def write(meter: SimMeter, attribute: Attribute, value: Any) -> AccessError | None:
    """Keep `value` if it has the attribute's shape."""
    key = attribute.class_id, attribute.index
    kind = _kind(key)
    if kind is None or key not in TYPES:
        return READ_WRITE_DENIED
    try:
        axdr.encode(typed(kind, value))
    except (TypeError, ValueError, AttributeError, LookupError):
        return TYPE_UNMATCHED
    meter.shelf[key] = value
    return None


def invoke(meter: SimMeter, name: bytes, method: int) -> AccessError | None:
    """Do what a method of an object of the shelf does; None when it was done."""
    class_id = SHELF[name]
    if (moved := _ACTIVATED.get((class_id, method))) is not None:
        attributes, places = moved
        for index in attributes:
            new = meter.shelf.get((class_id, index + places))
            if new is not None:
                meter.shelf[class_id, index] = new
        return None
    return None if (class_id, method) in _OTHERS else READ_WRITE_DENIED


def _kind(key: tuple[int, int]) -> Kind | None:
    return _KINDS.get(key) or TYPES.get(key)


def _factory(key: tuple[int, int], kind: Kind) -> Any:
    return _FACTORY[key] if key in _FACTORY else _empty(kind)


def _empty(kind: Kind) -> Any:
    if isinstance(kind, tuple):
        return [_empty(one) for one in kind]
    if isinstance(kind, list):
        return []
    if not isinstance(kind, int):
        return 0
    return {_OCTET: _NO_NAME, _BOOL: False, _BIT: BitString(0, 0)}.get(kind, 0)
