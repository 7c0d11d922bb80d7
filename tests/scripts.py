"""A session whose answers a test makes up."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from dcu.conversation.session import Session, Yielded, never
from dcu.dlms.services import Get
from dcu.errors import DcuError


class Scripted:
    """Answers each item by a function; `asked` are all items so far. What the function raises stops it there."""

    def __init__(self, answer: Callable[[Get], Any]) -> None:
        self.asked_at = 0.0
        self.meter_clock: tuple[float, float] | None = None
        self.asked: list[Get] = []
        self._answer = answer

    async def get(self, items: Sequence[Get], _urgent: Callable[[], bool] = never) -> list[Any]:
        self.asked += items
        results: list[Any] = []
        try:
            results.extend(self._answer(item) for item in items)
        except (Yielded, DcuError) as stop:
            stop.results = results
            raise
        return results


def scripted(answer: Callable[[Get], Any]) -> Session:
    return cast("Session", Scripted(answer))
