"""The flow that looks after the box's own clock."""

from dcu.clock import ClockState, Discipline
from dcu.health import Progress
from dcu.watching.timekeeping import GRACE, KEEP_EVERY, Timekeeping
from tests.captures import SetClock


class Doubted(SetClock):
    current = ClockState.SYNCHRONISED

    def state(self) -> ClockState:
        return self.current


class Bench:
    def __init__(self) -> None:
        self.clock = Doubted(1_800_000_000.0)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.saved: list[Discipline] = []
        self.progress = Progress(0.0)
        self.flow = Timekeeping(self.clock, self.report, self.last, self.saved.append, self.progress)

    def last(self) -> Discipline | None:
        return Discipline(self.clock.monotonic(), 0.0) if self.clock.trusted() else None

    async def report(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.events.append((name, detail))

    async def after(self, seconds: float, state: ClockState) -> None:
        self.clock.time += seconds
        self.clock.current = state
        await self.flow.step()


async def test_a_clock_that_is_not_trusted_is_told_once_after_a_while() -> None:
    bench = Bench()
    await bench.after(0.0, ClockState.UNSYNCHRONISED)
    await bench.after(GRACE - 1, ClockState.UNSYNCHRONISED)
    assert bench.events == []
    await bench.after(1.0, ClockState.UNSYNCHRONISED)
    await bench.after(1e6, ClockState.UNSYNCHRONISED)
    assert bench.events == [("dcu clock not synchronised", {"state": "not synchronised"})]
    assert bench.progress.last == bench.clock.monotonic()


async def test_it_is_told_again_when_it_was_right_in_between() -> None:
    bench = Bench()
    for state in (ClockState.UNSYNCHRONISED, ClockState.UNSYNCHRONISED, ClockState.HOLDOVER) * 2:
        await bench.after(GRACE, state)
    assert len(bench.events) == 2


async def test_that_the_clock_is_disciplined_is_kept_now_and_then() -> None:
    bench = Bench()
    for _ in range(5):
        await bench.after(KEEP_EVERY / 2, ClockState.SYNCHRONISED)
    assert len(bench.saved) == 3
    await bench.after(KEEP_EVERY, ClockState.UNSYNCHRONISED)
    assert len(bench.saved) == 3
