"""The file of the meters' secrets, or of new ones: entries by meter id, and one that serves those without their own.

Who may read the file is checked where it is read; whether each meter has what its access needs, in `check`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dcu.errors import ConfigError
from dcu.forms import words
from dcu.forms.shape import Faulty, Place, Shape, named
from dcu.model import CURVE_OCTETS, KEY_OCTETS, Keys

#: Keys of meters that are not in the archive yet may lie ready.
MAX_ENTRIES = 4096

_SYMMETRIC = sorted(set(KEY_OCTETS.values()))
_PRIVATE = CURVE_OCTETS.values()
_PUBLIC = [2 * octets for octets in _PRIVATE]

_Entry = Mapping[str, bytes]

ENTRY: Shape[_Entry] = Shape(
    dict,
    {},
    {
        "password": words.password,
        "encryption_key": words.octets(*_SYMMETRIC),
        "authentication_key": words.octets(*_SYMMETRIC),
        "signing_key": words.octets(*_PRIVATE),
        "verifying_key": words.octets(*_PUBLIC),
        "agreement_key": words.octets(*_PRIVATE),
        "meter_agreement_key": words.octets(*_PUBLIC),
        "master_key": words.octets(*_SYMMETRIC),
        "broadcast_key": words.octets(*_SYMMETRIC),
    },
)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The secrets of all meters; a meter's own entry overrides the default one key by key."""

    path: str
    default: Keys
    meters: Mapping[str, _Entry]

    def of(self, meter: str) -> Keys:
        own = self.meters.get(meter)
        return replace(self.default, **own) if own else self.default


def _named_entry(name: str, place: Place) -> tuple[str, _Entry]:
    return name, ENTRY(place)


_FILE: Shape[dict[str, Any]] = Shape(dict, {}, {"default": ENTRY, "meters": named(_named_entry, MAX_ENTRIES)})


def keys_file(place: Place) -> KeyFile:
    """Read the file that `place` names. Nothing of what stands in it is ever shown."""
    path = words.secret_path(place)
    text = place.other(path, secret=True)
    from dcu.forms.node import compose  # noqa: PLC0415 - the daemon, which never parses, needs the words of this file

    try:
        root = compose(text, path)
    except ConfigError as error:
        place.problems.add(*error.problems)
        raise Faulty from error
    values = _FILE(Place(path, "", root, place.problems, place.read, secret=True))
    entries = dict(entry for entry, _ in values.get("meters", []))
    return KeyFile(path, Keys(**values.get("default", {})), entries)
