"""What the meters of one bus do not treat within a list of attributes: some of them, or any list at all.

How attributes are asked is `session`'s business; that an answer is missing is nobody's secret and kept nowhere.
"""

from collections.abc import Sequence
from typing import Final

from dcu.dlms.services import Get, UnservedError, Variable
from dcu.model import Attribute

#: Seconds for which it is believed: one forged or mistaken refusal must not cost a turn of the line for each value
#: until the next start, and a new firmware may do better.
BELIEVED: Final = 86_400.0

#: Refusals remembered on one bus. More than a few for a meter is no meter we know; the oldest gives way.
MAX_REFUSED: Final = 4096

_Key = tuple[str, Attribute | int | None]


class Singles:
    """Remembers by monotonic seconds; empty, as it is for most buses, it costs one look for each item."""

    def __init__(self) -> None:
        self._refused: dict[_Key, float] = {}

    def alone(self, meter: str, item: Get | Variable, now: float) -> bool:
        """Whether `item` is asked of `meter` in a request of its own."""
        return bool(self._refused) and (self._holds((meter, None), now) or self._holds((meter, _called(item)), now))

    def learned(self, meter: str, items: Sequence[Get | Variable], answers: Sequence[object], now: float) -> None:
        """Conclude from the `answers` to single requests for `items`, which were not served as a list.

        Those of them that are not served by themselves were the reason; without any it is that they were a list.
        """
        pairs = zip(items, answers, strict=True)
        refused: list[Attribute | int | None] = [
            _called(item) for item, answer in pairs if isinstance(answer, UnservedError)
        ]
        for called in refused or [None]:
            self._refused.pop((meter, called), None)
            self._refused[meter, called] = now
        while len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]

    def _holds(self, key: _Key, now: float) -> bool:
        since = self._refused.get(key)
        return since is not None and now - since < BELIEVED


def _called(item: Get | Variable) -> Attribute | int:
    return item.attribute if isinstance(item, Get) else item.name
