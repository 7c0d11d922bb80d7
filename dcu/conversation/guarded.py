"""What commands about any object leave alone: what switches supply, takes tokens, or holds a secret.

What switches supply by itself, as it is set up, is named too: that is an operator's to change. Supply and tokens want a
command that looks before it acts, a secret would stay in the journal, and new keys must be known here before the meter
has them. What is asked at all is in `objects`.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from dcu.dlms.axdr import ARRAY, STRUCTURE, null
from dcu.model import Attribute

#: Octets of a logical name.
_NAME_SIZE: Final = 6

_DISCONNECTOR, _GATEWAY, _ASSOCIATION, _LOCAL_PORT, _M_BUS, _SECURITY = 70, 115, 15, 19, 72, 64
_MONITOR, _LIMITER = 21, 71

#: Classes that are not changed at all.
_UNTOUCHED: Final = {_DISCONNECTOR: "the disconnector", _GATEWAY: "the token gateway"}

#: Classes that move the disconnector by themselves where they are set up so: by a threshold that is set here, too.
_ACTING: Final = {_LIMITER: "the limiter", _MONITOR: "a register monitor"}

#: Attributes neither written nor read, and methods not invoked, by class (Blue Book; 12 is the association by short
#: names, 44 PPP, 45 GPRS, 46 SMTP, 91 G3-PLC, 101 ZigBee).
_SECRETS: Final = {
    **dict.fromkeys(((_ASSOCIATION, 7), (_LOCAL_PORT, 7), (_LOCAL_PORT, 8), (_LOCAL_PORT, 9)), "a password"),
    **dict.fromkeys(((44, 5), (46, 4)), "a password"),
    (45, 3): "a PIN",
    **dict.fromkeys(((91, 5), (101, 10), (101, 11)), "keys"),
}
_METHODS: Final = {
    **dict.fromkeys(((_ASSOCIATION, 2), (12, 5)), "a secret"),
    **dict.fromkeys(((_SECURITY, 2), (_SECURITY, 3), (_SECURITY, 4)), "keys"),
    **dict.fromkeys(((_SECURITY, 6), (_SECURITY, 8)), "certificates"),
    **dict.fromkeys(((_M_BUS, 7), (_M_BUS, 8)), "keys"),
}

#: The class of what bears a logical name by the standard (IEC 62056-6-1, abstract objects, value groups C, D and
#: maybe E): a meter may not mind under which class it is asked for.
_CLASSES: Final = {
    (96, 3, 10): _DISCONNECTOR,
    (24, 4): _DISCONNECTOR,
    (19, 40): _GATEWAY,
    (40, 0): _ASSOCIATION,
    (43, 0): _SECURITY,
    (16, 0): _MONITOR,
    (16, 1): _MONITOR,
    (17, 0): _LIMITER,
    (20, 0): _LOCAL_PORT,
    (24, 1): _M_BUS,
    (25, 3): 44,
    (25, 4): 45,
    (25, 5): 46,
    (29, 1): 91,
    (35, 1): 101,
}
#: What moves the disconnector by itself: its scripts, and the schedule that runs them.
_MOVERS: Final = {(10, 0, 106), (15, 0, 1)}


def change(target: Attribute, *, method: bool) -> str | None:
    """Return what writing an attribute, or invoking the method of that number, would change that is left alone."""
    return _supply(target.class_id, target.name) or _part(_METHODS if method else _SECRETS, target)


def acting(target: Attribute) -> str | None:
    """Return what the attribute is of that may interrupt supply by itself, as it is told when and by what."""
    return _ACTING.get(target.class_id) or _ACTING.get(_class_of(target.name))


def shown(target: Attribute) -> str | None:
    """Return what reading an attribute would show that is nobody's business."""
    return _part(_SECRETS, target)


def named(value: Any) -> str | None:
    """Return which object left alone `value` (Typed) has moved by another, as calendars, monitors and scripts do."""
    waiting = [value]
    while waiting:
        tag, inner = waiting.pop()
        if tag not in {ARRAY, STRUCTURE}:
            continue
        waiting += inner
        # a number before a name is its class
        for before, item in pairwise((null(), *inner)):
            class_id = before.value if isinstance(before.value, int) else 0
            if _is_name(item.value) and (found := _supply(class_id, item.value)):
                return found
    return None


def _part(parts: Mapping[tuple[int, int], str], target: Attribute) -> str | None:
    by_name = parts.get((_class_of(target.name), target.index))
    return parts.get((target.class_id, target.index)) or by_name


def _supply(class_id: int, name: bytes) -> str | None:
    if name[0] == 0 and tuple(name[2:5]) in _MOVERS:
        return _UNTOUCHED[_DISCONNECTOR]
    return _UNTOUCHED.get(class_id) or _UNTOUCHED.get(_class_of(name))


def _class_of(name: bytes) -> int:
    """Return the class that the object of a logical name has by the standard, 0 where nothing here depends on it."""
    if name[0] != 0:
        return 0
    return _CLASSES.get(tuple(name[2:5])) or _CLASSES.get(tuple(name[2:4]), 0)


def _is_name(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == _NAME_SIZE
