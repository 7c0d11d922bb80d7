"""A store in which one object stands for every part: what a flow asks of the parts is asked of that."""

from types import SimpleNamespace
from typing import cast

from dcu.store import Store


def store_of(part: object) -> Store:
    """Return a store all of whose parts are `part`."""
    return cast("Store", SimpleNamespace(**dict.fromkeys(Store.__slots__, part)))
