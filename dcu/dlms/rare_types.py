"""The types of what is written to the rare COSEM classes, and the arguments of their methods (IEC 62056-6-2).

What is not in these tables cannot be written or invoked; how the values look to people is in `rarities`.
"""

from collections.abc import Callable
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import Typed
from dcu.dlms.rarities import CHARGES, LOGICAL_DEVICE, SPECIAL_DAY, USER
from dcu.dlms.shapes import NUMBER, OCTETS, Fields, Listed, checked, octets

Kind = int | tuple[Any, ...] | list[Any] | Callable[[Any], Typed]
"""How a decoded value is typed: the tag of it (or of each item of a list), a tuple of kinds for a structure, a list of
one kind for an array, or what makes it."""

_BOOL, _BIT, _OCTET, _ENUM = axdr.BOOLEAN, axdr.BIT_STRING, axdr.OCTET_STRING, axdr.ENUM
_I8, _I16, _I32 = axdr.INTEGER, axdr.LONG, axdr.DOUBLE_LONG
_U8, _U16, _U32 = axdr.UNSIGNED, axdr.LONG_UNSIGNED, axdr.DOUBLE_LONG_UNSIGNED


def typed(kind: Kind, value: Any) -> Typed:
    """Return `value` under the tags that `kind` says; ValueError or TypeError where their shapes differ."""
    if isinstance(kind, tuple):
        return axdr.structure(*(typed(one, item) for one, item in zip(kind, value, strict=True)))
    if isinstance(kind, list):
        return axdr.array(*(typed(kind[0], item) for item in checked(value, list)))
    if not isinstance(kind, int):
        return kind(value)
    return axdr.array(*(Typed(kind, item) for item in value)) if type(value) is list else Typed(kind, value)


#: The signed types, the shortest first.
_SIGNED: Final = ((axdr.INTEGER, 0x80), (axdr.LONG, 0x8000), (axdr.DOUBLE_LONG, 1 << 31), (axdr.LONG64, 1 << 63))
_FREE: Final = {type(None): axdr.NULL, bool: _BOOL, float: axdr.FLOAT64, bytes: _OCTET, str: axdr.VISIBLE_STRING}


def _free(value: Any) -> Typed:
    """A value whose type the class leaves open: integers as short as they can be."""
    if type(value) is int:
        return Typed(next((tag for tag, bound in _SIGNED if -bound <= value < bound), axdr.LONG64), value)
    return Typed(_FREE[type(value)], value)


_COLUMN_KIND: Final = (_U16, _OCTET, _I8, _U16)


def _restriction(value: Any) -> Typed:
    _, limits = value
    if limits is None:
        return typed((_ENUM, axdr.NULL), value)
    return typed((_ENUM, (_OCTET, _OCTET) if isinstance(limits[0], bytes) else (_U32, _U32)), value)


def _pushed(value: Any) -> Typed:
    return typed((*_COLUMN_KIND, _restriction, [_COLUMN_KIND])[: len(value)], value)


def _key_info(value: Any) -> Typed:
    _, options = value
    if isinstance(options, int):
        return typed((_ENUM, _ENUM), value)
    return typed((_ENUM, (_OCTET if isinstance(options[0], bytes) else _ENUM, _OCTET)), value)


def _retry_delay(value: Any) -> Typed:
    return typed((_U16, _U16, _U16) if isinstance(value, list) else _U16, value)


_SCRIPT_KIND: Final = (_OCTET, _U16)
_MONITORED_KIND: Final = (_U16, _OCTET, _I8)
_CHARGES_KIND: Final = [(_OCTET, _I16)]
_GURUX: Final = None
#: By class and attribute that may be written: its kind; None: gurux knows its types.
TYPES: Final[dict[tuple[int, int], Kind | None]] = {
    **{(20, attribute): _GURUX for attribute in range(6, 11)},
    **dict.fromkeys(((11, 2), (17, 2), (18, 5), (22, 2), (22, 3), (22, 4)), _GURUX),
    **{(40, attribute): _GURUX for attribute in range(3, 7)},
    **dict.fromkeys(((71, 6), (71, 7), (71, 8), (71, 9), (71, 11), (115, 2)), _GURUX),
    **dict.fromkeys(((111, 13), (111, 14), (111, 15), (111, 16), (111, 17), (112, 11), (113, 7)), _GURUX),
    # gurux has no type for a threshold, which is that of the monitored value: energy and power are these
    **dict.fromkeys(((71, 4), (71, 5), (21, 2)), _U32),
    # what follows gurux does not write at all, or only in one version of the class
    (9, 2): [(_U16, [(_ENUM, _U16, _OCTET, _I8, _free)])],
    (21, 3): _MONITORED_KIND,
    (21, 4): [(_SCRIPT_KIND, _SCRIPT_KIND)],
    (40, 2): [_pushed],
    (40, 7): _retry_delay,
    (40, 8): _OCTET,
    (40, 9): _I8,
    (40, 10): [(_ENUM, (_OCTET, _OCTET, _OCTET, _OCTET, _key_info))],
    (40, 11): _ENUM,
    (40, 12): (_OCTET, _U32),
    (64, 4): _OCTET,
    (71, 2): _MONITORED_KIND,
    (111, 9): [_OCTET],
    (111, 10): [_OCTET],
    (111, 11): [(_OCTET, _OCTET, _BIT)],
    (111, 12): [(_OCTET, _U8)],
    **dict.fromkeys(((111, 7), (111, 19), (112, 5), (112, 6), (112, 9), (112, 10)), _I32),
    **dict.fromkeys(((111, 18), (113, 13)), _U16),
    **dict.fromkeys(((112, 4), (113, 4)), _U8),
    **dict.fromkeys(((112, 7), (113, 9)), _BIT),
    (113, 6): ((_I8, _I8), _MONITORED_KIND, _CHARGES_KIND),
    (113, 8): _U32,
}


def _nothing(argument: Any) -> Typed:
    if argument is not None:
        raise TypeError
    return axdr.i8(0)


def _of(build: Callable[[int], Typed]) -> Callable[[Any], Typed]:
    return lambda argument: build(checked(argument, int))


def _inserted(argument: Any) -> Typed:
    index, date, day = SPECIAL_DAY.decoded(argument)
    return axdr.structure(axdr.u16(index), axdr.octets(date), axdr.u8(day))


def _image(argument: Any) -> Typed:
    identification, size = Fields(identification=OCTETS, size=NUMBER).decoded(argument)
    return axdr.structure(axdr.octets(identification), axdr.u32(size))


def _image_block(argument: Any) -> Typed:
    number, content = Fields(number=NUMBER, content=OCTETS).decoded(argument)
    return axdr.structure(axdr.u32(number), axdr.octets(content))


def _user(argument: Any) -> Typed:
    return typed((_U8, _OCTET), USER.decoded(argument))


def _logical_device(argument: Any) -> Typed:
    return typed((_U16, _OCTET), LOGICAL_DEVICE.decoded(argument))


def _transferred_keys(argument: Any) -> Typed:
    return typed([(_ENUM, _OCTET)], Listed(Fields(id=NUMBER, wrapped=OCTETS)).decoded(argument))


def _charges(argument: Any) -> Typed:
    """The new prices; without any, what early versions of the class take."""
    return _nothing(None) if argument is None else typed(_CHARGES_KIND, CHARGES.decoded(argument))


#: By class and method: the word for it, and what makes its argument.
METHODS: Final[dict[tuple[int, int], tuple[str, Callable[[Any], Typed]]]] = {
    (9, 1): ("execute", _of(axdr.u16)),
    (11, 1): ("insert", _inserted),
    (11, 2): ("delete", _of(axdr.u16)),
    (15, 5): ("add_user", _user),
    (15, 6): ("remove_user", _user),
    (17, 1): ("connect", _logical_device),
    (18, 1): ("initiate", _image),
    (18, 2): ("transfer_block", _image_block),
    (18, 3): ("verify", _nothing),
    (18, 4): ("activate", _nothing),
    (20, 1): ("activate_passive", _nothing),
    (40, 1): ("push", _nothing),
    (40, 2): ("reset", _nothing),
    (64, 2): ("transfer_keys", _transferred_keys),
    (64, 1): ("activate_policy", _of(axdr.enum)),
    (111, 1): ("activate", _nothing),
    (111, 2): ("close", _nothing),
    (111, 3): ("reset", _nothing),
    (112, 1): ("update_amount", _of(axdr.i32)),
    (112, 2): ("set_amount", _of(axdr.i32)),
    (112, 3): ("invoke", _of(axdr.u8)),
    (113, 1): ("update_unit_charge", _charges),
    (113, 2): ("activate_passive_unit_charge", _nothing),
    (113, 3): ("collect", _nothing),
    (113, 4): ("update_remaining", _of(axdr.i32)),
    (113, 5): ("set_remaining", _of(axdr.i32)),
    (115, 1): ("enter", lambda argument: axdr.octets(octets(argument))),
}
