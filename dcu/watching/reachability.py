"""Whether meters can be reached, over time: what is kept of it, who is told, and the list of meters that shows it.

When a meter counts as degraded or unreachable is decided by the plan (`dcu.plan.planner` has the table of its states).

    first failure ──`unreachable_after` over──► event "meter unreachable", once ──answers──► "meter reachable again"
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from dcu.clock import DAY, Clock, iso
from dcu.health import Health
from dcu.model import Command, Meter, Reach, Standing
from dcu.plan.reach import available
from dcu.report import Report

#: How often it is looked whether somebody has to be told, in seconds.
STEP = 60.0


class History(Protocol):
    """What is needed of the store."""

    async def reached(self, meter: str, state: Reach, at: float, *, sure: bool = False) -> None: ...

    async def since(self, since: float) -> list[tuple[str, float, Reach]]: ...

    async def away(self) -> list[tuple[str, float, int]]: ...


@dataclass(slots=True)
class _Away:
    """A meter that does not answer `since` (UTC s), of which somebody is told at `due` (monotonic s)."""

    state: Reach
    since: float
    due: float
    told: bool = False


class Reachability:
    """Of all meters of the box. `meters` gives those there are, `failures` how often in a row one has failed.

    A meter is reported when it has not answered for `after` seconds. `load` once, before anything is polled.
    """

    def __init__(
        self,
        history: History,
        meters: Callable[[], Collection[Meter]],
        failures: Callable[[Meter], int],
        after: float,
        clock: Clock,
        health: Health,
        report: Report,
    ) -> None:
        self._history = history
        self._meters = meters
        self._failures = failures
        self._after = after
        self._clock = clock
        self._report = report
        self._progress = health.watch("reachability", clock.monotonic(), waits=STEP)
        # since when each meter that was ever visited is in its state
        self._known: dict[str, float] = {}
        self._away: dict[str, _Away] = {}
        self._read: dict[str, float] = {}
        self.commands: Mapping[str, Callable[[Command], Awaitable[dict[str, Any]]]] = {"dcu.meters": self._list}

    async def load(self) -> list[str]:
        """Take up what the store knows; return the meters that were unreachable. Raises StoreError."""
        now, wall = self._clock.monotonic(), self._clock.now()
        self._known = {meter: at for meter, at, _ in await self._history.since(wall)}
        for meter, since, unreachable in await self._history.away():
            # without a clock to trust nobody can say how long that is
            gone = wall - since if self._clock.trusted() else 0.0
            state = Reach.UNREACHABLE if unreachable else Reach.DEGRADED
            # a second line of the same state says that it was told
            self._away[meter] = _Away(state, since, now + self._after - max(0.0, gone), unreachable > 1)
        return [meter for meter, away in self._away.items() if away.state is Reach.UNREACHABLE]

    async def visited(self, meter: str, state: Reach, *, answered: bool) -> None:
        """Take note of a visit that left `meter` in `state`; returns when what changed is kept. Raises StoreError."""
        if answered:
            await self._answered(meter)
        elif state is not Reach.REACHABLE:
            await self._failed(meter, state)

    def standing(self, meter: str) -> Standing | None:
        """Return how `meter` stands, None when it was never visited."""
        away, read = self._away.get(meter), self._read.get(meter)
        if away is not None:
            return Standing(away.state, away.since, read)
        return Standing(Reach.REACHABLE, self._known[meter], read) if meter in self._known else None

    async def _answered(self, meter: str) -> None:
        now = self._read[meter] = self._clock.now()
        if meter in self._known and meter not in self._away:
            return
        await self._keep(meter, Reach.REACHABLE, now)
        away = self._away.pop(meter, None)
        if away is not None and away.told:
            await self._report("meter reachable again", meter=meter, since=iso(int(away.since)))

    async def _failed(self, meter: str, state: Reach) -> None:
        away = self._away.get(meter)
        if away is not None and away.state in {state, Reach.UNREACHABLE}:
            return
        now = self._clock.now()
        await self._keep(meter, state, now)
        if away is None:
            self._away[meter] = _Away(state, now, self._clock.monotonic() + self._after)
        else:
            away.state = state

    async def _keep(self, meter: str, state: Reach, now: float) -> None:
        await self._history.reached(meter, state, now, sure=self._clock.trusted())
        self._known[meter] = now

    async def run(self) -> None:
        """Tell of those that are away for long, until cancelled. Raises StoreError."""
        while True:
            await self.step()
            await asyncio.sleep(STEP)

    async def step(self) -> None:
        """Look once."""
        now = self._clock.monotonic()
        self._progress.mark(now)
        there = {meter.id for meter in self._meters()}
        for meter, away in list(self._away.items()):
            if meter not in there:
                del self._away[meter]
            elif now >= away.due and not away.told:
                await self._report("meter unreachable", meter=meter, since=iso(int(away.since)))
                await self._history.reached(meter, Reach.UNREACHABLE, self._clock.now(), sure=self._clock.trusted())
                away.told = True

    async def _list(self, command: Command) -> dict[str, Any]:
        """Answer `dcu.meters`: the meters in the order of their names, behind the one called `after`."""
        count, after = command.args["count"], str(command.args["after"])
        assert isinstance(count, int)
        wanted = sorted((meter for meter in self._meters() if meter.id > after), key=lambda meter: meter.id)
        if command.args["unreachable"]:
            wanted = [meter for meter in wanted if meter.id in self._away]
        shown = wanted[:count]
        midnight = self._clock.now() // DAY * DAY
        changes = dict(_by_meter(await self._history.since(midnight - DAY)))
        return {
            "meters": [self._line(meter, changes.get(meter.id, []), midnight) for meter in shown],
            "next": shown[-1].id if len(wanted) > count else None,
        }

    def _line(self, meter: Meter, changes: Sequence[tuple[float, Reach]], midnight: float) -> dict[str, Any]:
        away, read = self._away.get(meter.id), self._read.get(meter.id)
        since = away.since if away else (changes[-1][0] if changes else None)
        days = {"yesterday": (midnight - DAY, midnight), "today": (midnight, self._clock.now())}
        return {
            "id": meter.id,
            "bus": meter.bus,
            "group": meter.group,
            "state": (away.state if away else Reach.REACHABLE).value if changes or away else None,
            "since": None if since is None else iso(int(since)),
            "last_reading": None if read is None else iso(int(read)),
            "failures": self._failures(meter),
            "available": {day: round(available(changes, *span) / 60) for day, span in days.items()},
        }


def _by_meter(rows: Sequence[tuple[str, float, Reach]]) -> Iterator[tuple[str, list[tuple[float, Reach]]]]:
    for meter, changes in groupby(rows, key=lambda row: row[0]):
        yield meter, [(at, state) for _, at, state in changes]
