"""What is known of the meters' clocks, for people: how far each was off, what it gains a day, when it was moved last.

What is measured and moved is `dcu.polling.clocks`'s business.
"""

from collections.abc import Awaitable, Callable, Container, Mapping
from typing import Any, Protocol

from dcu.clock import iso
from dcu.model import Command
from dcu.plan.calibration import drift
from dcu.store import Adjustment


class Histories(Protocol):
    """What is needed of the store."""

    async def histories(self) -> dict[str, list[tuple[int, float]]]: ...

    async def adjustments(self) -> dict[str, Adjustment]: ...


class Drifts:
    """Tells of the clocks of `meters`, the archive."""

    def __init__(self, clocks: Histories, meters: Container[str]) -> None:
        self._clocks = clocks
        self._meters = meters
        self.commands: Mapping[str, Callable[[Command], Awaitable[dict[str, Any]]]] = {"dcu.clocks": self._list}

    async def _list(self, command: Command) -> dict[str, Any]:
        """Answer `dcu.clocks`: so many of the clocks that were measured, in the order of the meters' names."""
        first, count = command.args["from"], command.args["count"]
        assert isinstance(first, int)
        assert isinstance(count, int)
        histories = await self._clocks.histories()
        moved = await self._clocks.adjustments()
        known = [(meter, points) for meter, points in histories.items() if meter in self._meters]
        told = [_told(meter, points, moved.get(meter)) for meter, points in known[first : first + count]]
        return {"clocks": told, "total": len(known)}


def _told(meter: str, points: list[tuple[int, float]], moved: Adjustment | None) -> dict[str, Any]:
    at, offset = points[-1]
    gains = drift(points)
    return {
        "meter": meter,
        "at": iso(at),
        "offset": round(offset, 1),
        "drift": None if gains is None else round(gains, 2),
        "moved": None if moved is None or moved.open else iso(moved.at),
    }
