"""Base names of a meter's objects, and with them the short name of each attribute (IEC 62056-6-2, 4.2 and class 12).

A meter tells them in the object list of its association; where they are kept is not known here, nor any octet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from dcu.dlms.axdr import Typed
from dcu.dlms.services import AccessError, Get, Read, Selection, Set, Variable, Write
from dcu.errors import MeterError, excerpt
from dcu.model import Attribute

#: Attribute 2 of the association object, whose base name is the same in every meter: base name, class, version and
#: logical name of each object (IEC 62056-6-2, 4.3.3 and class 12).
OBJECT_LIST: Final = Variable(0xFA08)
#: Its logical name, which every client may read.
OWN_NAME: Final = Variable(0xFA00)
#: Its method 8, reply_to_HLS_authentication (IEC 62056-6-2, class 12: base name + 0x58).
REPLY_TO_HLS: Final = 0xFA58
#: The selector by which READ invokes a method that returns something; its parameter is the argument (IEC 62056-5-3,
#: mapping of ACTION to the services of short names).
INVOKE: Final = 0
#: Objects of one meter. Each has two attributes at least, and with them 16 of the 65 536 short names.
MAX_OBJECTS: Final = 4096
UNDEFINED: Final = AccessError(4)

#: From here on base names are the same in every meter (IEC 62056-6-2, 4.3).
_RESERVED: Final = 0xFA00
_STEP: Final = 8
_NAMES: Final = 0x10000
_LOGICAL_NAME_SIZE: Final = 6


@dataclass(frozen=True, slots=True, order=True)
class ShortObject:
    """One line of an object list: base name (0..0xFFFF), class id, logical name of six octets."""

    base: int
    class_id: int
    name: bytes


@dataclass(frozen=True, slots=True)
class ShortNames:
    """The `objects` of one meter, or of all meters that agree in them, by rising base name."""

    objects: tuple[ShortObject, ...]
    _spans: dict[tuple[int, bytes], range] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bases = [each.base for each in self.objects]
        # an object ends where the next one begins: an attribute it has not must not be read out of its neighbour
        ends = dict(pairwise(sorted({*bases, _NAMES})))
        spans = {(each.class_id, each.name): range(each.base, ends[each.base], _STEP) for each in self.objects}
        object.__setattr__(self, "_spans", spans)

    @classmethod
    def from_value(cls, value: Any) -> "ShortNames":
        """Return what a decoded object list says; MeterError when it is none or has more than MAX_OBJECTS objects."""
        if not isinstance(value, list) or not 0 < len(value) <= MAX_OBJECTS:
            raise MeterError(f"object list is no list of 1 to {MAX_OBJECTS}: {excerpt(value)}")
        return cls(tuple(sorted(map(_object, value))))

    @classmethod
    def of(cls, objects: Iterable[ShortObject]) -> "ShortNames":
        return cls(tuple(sorted(objects)))

    @property
    def witness(self) -> tuple[Variable, bytes]:
        """What tells whether these names still hold: the name of the last object's logical name, and what it is.

        Firmware that adds or drops an object moves those behind it; those of reserved names stay where they are.
        """
        movable = [each for each in self.objects if each.base < _RESERVED]
        last = (movable or self.objects)[-1]
        return Variable(last.base), last.name

    def logical_name(self, attribute: Attribute) -> dict[Variable, bytes]:
        """Return how to ask the object of `attribute` for its logical name, and what that is; nothing without one."""
        span = self._spans.get((attribute.class_id, attribute.name))
        return {} if span is None else {Variable(span.start): attribute.name}

    def variable(self, item: Get) -> Variable | None:
        """Return how to ask for `item`, None when the meter has no such object or attribute."""
        name = self._name(item.attribute)
        return None if name is None else Variable(name, item.selection)

    def write(self, item: Set) -> Write | None:
        """Return what writes `item`, None when the meter has no such object or attribute."""
        name = self._name(item.attribute)
        return None if name is None else Write(((Variable(name, item.selection), item.value),))

    def _name(self, attribute: Attribute) -> int | None:
        span = self._spans.get((attribute.class_id, attribute.name), range(0))
        return span[attribute.index - 1] if 1 <= attribute.index <= len(span) else None


def reply_to_hls(proof: Typed) -> Read:
    """Return pass 3 of the high level authentications; what it is answered with is pass 4."""
    return Read((Variable(REPLY_TO_HLS, Selection(INVOKE, proof)),))


def _object(element: Any) -> ShortObject:
    match element:
        # the base name is a long, so the upper half of them comes as negative numbers
        case [int(base), int(class_id), int(), bytes(name)] if (
            -_NAMES // 2 <= base < _NAMES and 0 <= class_id < _NAMES and len(name) == _LOGICAL_NAME_SIZE
        ):
            return ShortObject(base % _NAMES, class_id, name)
        case _:
            raise MeterError(f"not an object of an object list: {excerpt(element)}")
