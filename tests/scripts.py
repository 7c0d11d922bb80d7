"""A session whose answers a test makes up."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from dcu.dlms.services import Get
from dcu.session import Session


class Scripted:
    """Answers each item by a function; `asked` are all items so far."""

    def __init__(self, answer: Callable[[Get], Any]) -> None:
        self.asked_at = 0.0
        self.meter_clock: tuple[float, float] | None = None
        self.asked: list[Get] = []
        self._answer = answer

    async def get(self, items: Sequence[Get]) -> list[Any]:
        self.asked += items
        return [self._answer(item) for item in items]


def scripted(answer: Callable[[Get], Any]) -> Session:
    return cast("Session", Scripted(answer))
