"""The JSON of the store: how values and columns are written into a row, and read again.

No SQL and no I/O; what a row holds besides is in schema/NNN.sql.
"""

import json
import math
from collections.abc import Iterable
from typing import Final

from dcu.model import Column, Value

#: What can be raised when JSON of ours is read that is damaged.
GARBLED: Final = (ValueError, TypeError, KeyError)


def _plain(value: object) -> dict[str, str]:
    if isinstance(value, bytes | bytearray):
        return {"hex": value.hex()}
    raise TypeError(f"{type(value).__name__} is not a value of a capture")


def _special(found: dict[str, str]) -> Value:
    return float(found["float"]) if "float" in found else bytes.fromhex(found["hex"])


#: Compact JSON, pure ASCII: whatever text a meter or a head-end sends can be bound to a statement.
to_json = json.JSONEncoder(separators=(",", ":"), default=_plain).encode

_strict = json.JSONEncoder(separators=(",", ":"), default=_plain, allow_nan=False).encode

#: Only for values and columns, where an object can be nothing else than octets, or a number that JSON has no word for.
from_json = json.JSONDecoder(object_hook=_special).decode


def cells_json(cells: object) -> str:
    """Return values in lists and tuples as JSON that every reader takes: NaN and infinities are objects."""
    try:
        return _strict(cells)
    except ValueError:
        return _strict(_spelt(cells))


def _spelt(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return [_spelt(each) for each in value] if isinstance(value, list | tuple) else value


def columns_text(columns: Iterable[Column]) -> str:
    """Return `columns` as a JSON array of [class id, logical name, attribute, data index, scaler, unit]."""
    return to_json([[c.class_id, c.name, c.index, c.data_index, c.scaler, c.unit] for c in columns])


def columns_from(text: str) -> tuple[Column, ...]:
    return tuple(Column(*fields) for fields in from_json(text))


def values_from(text: str) -> tuple[Value, ...]:
    return tuple(from_json(text))
