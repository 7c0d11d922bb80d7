"""Captures as a visit brings them home, and a clock that tests move; for the tests of the store."""

from dcu.clock import ClockState
from dcu.model import Capture, Column, Value

COLUMNS = tuple(Column(3, bytes([1, 0, group, 8, 0, 255]), scaler=-1, unit=30) for group in range(1, 9))


class SetClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, time: float = 1_800_000_000.25) -> None:
        self.time = time

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def trusted(self) -> bool:
        return self.state().trusted

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED


def capture(at: int, meter: str = "M1", stream: str = "load0", values: tuple[Value, ...] | None = None) -> Capture:
    """Return a capture whose values tell which one it is, unless they are given."""
    held = values if values is not None else tuple(at * 10 + column for column in range(len(COLUMNS)))
    return Capture(meter, stream, at, 0, held, COLUMNS[: len(held)], at + 5.125, -0.375, trusted=True)
