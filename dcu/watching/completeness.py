"""Whether everything that is expected is here: what is expected of whom, the figures of it, and what is below target.

The accounts are the store's (`dcu.store.ledger`); this flow asks them, and answers who asks for what is missing.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from dcu.archive import MOMENTARY, Archive
from dcu.clock import DAY, Clock, iso
from dcu.health import Health, Progress, Success
from dcu.messages.catalogue import MAX_GAPS
from dcu.model import INSTANT, Command, Meter, Reason, Task
from dcu.plan.airtime import interval as average
from dcu.plan.windows import closed, round_of
from dcu.report import Report
from dcu.store import Store
from dcu.store.ledger import FIRST, GapLine, Span, Tally

log = structlog.get_logger()

#: Seconds between two looks: a period that is over is judged within a minute.
STEP = 60.0

#: How far back `dcu.ledger` counts captures: it goes through every one of them.
LEDGER_BOUND = 31 * DAY


class Completeness:
    """Looks after the ledger of one box. `timetables` are those of groups, "" that of meters in none.

    `why` says why a meter is not being read, as far as anybody knows now.
    """

    def __init__(
        self,
        store: Store,
        archive: Archive,
        timetables: Mapping[str, Sequence[Task]],
        why: Callable[[str], Reason],
        clock: Clock,
        health: Health,
        report: Report,
    ) -> None:
        self._store = store
        self._archive = archive
        self._timetables = timetables
        self._why = why
        self._clock = clock
        self._health = health
        self._report = report
        self._progress: Progress = health.watch("completeness", clock.monotonic(), waits=STEP)
        #: Of which line what is expected: that follows from what its profile object tells.
        self._expected: Mapping[Meter, int] = {}
        self._judged: dict[str, int] = {}
        #: When we began to count, by a clock that was set.
        self._began = math.inf
        #: By stream of moments, when the first round began that is counted.
        self._rounds: dict[str, float] = {}

    async def run(self) -> None:
        """Look once a minute until cancelled; raises StoreError."""
        while True:
            await self.step()
            await asyncio.sleep(STEP)

    async def step(self) -> None:
        """Say what is expected when that has changed; count, and report what is below target."""
        self._progress.mark(self._clock.monotonic())
        if not self._clock.trusted():  # a clock that was never set cannot say what ought to be here
            return
        now = int(self._clock.now())
        self._began = min(self._began, now)
        standing = self._standing()
        if standing.keys() != self._expected.keys():  # another device under the same name is another line
            await self._archive.recall()
            standing = self._standing()
        if standing != self._expected:
            wanted = self._wanted(now)
            await self._store.ledger.expect(wanted)
            self._archive.expect(wanted)
            self._expected = standing
        await self._count(now)

    def _standing(self) -> dict[Meter, int]:
        return {line: id(self._archive.profile(line.id)) for line in self._archive.lines()}

    def _wanted(self, now: int) -> dict[str, dict[int, list[str]]]:
        """Return from when on each stream is expected, of which meters: from a multiple of its usual period."""
        wanted: dict[str, dict[int, list[str]]] = {}
        periods = self._periods()
        for meter in self._archive.names:
            held = self._archive.profile(meter).streams
            for task in self._tasks_of(meter):
                if task.stream in held and task.stream not in MOMENTARY and not self._archive.lacks(meter, task.stream):
                    since, period = now - int(task.backfill), periods[task.stream] or 1
                    wanted.setdefault(task.stream, {}).setdefault(since + -since % period, []).append(meter)
        return wanted

    def _tasks_of(self, meter: str) -> Sequence[Task]:
        return self._timetables.get(self._archive.meter(meter).group, self._timetables[""])

    async def _count(self, now: int) -> None:
        due = self._due(now)
        spans = [
            span for _, last in due for span in (last, Span(last.stream, last.until - DAY, last.until, last.usual))
        ]
        tallies = iter(await self._store.ledger.tallies(spans))
        self._health.success = {}
        await self._count_moments(now)
        for (task, span), last, day in zip(due, tallies, tallies, strict=True):
            if last.share is None:
                continue
            success = Success(task.sla, last.expected, last.read, last.share, day.share or 0.0, span.until)
            self._health.success[task.stream] = success
            await self._judge(task, span, last)

    async def _count_moments(self, now: int) -> None:
        """Count what nobody can read later: one reading of each meter in each round since we began."""
        for stream, tasks in self._momentary().items():
            task = max(tasks, key=average)
            start, end = round_of(task, now)
            if start < self._began:
                continue
            last = self._moments(tasks, stream, start, end)
            if last.share is None:
                continue
            first = self._rounds.setdefault(stream, start)
            day = self._moments(tasks, stream, max(end - DAY, first), end)
            until = int(end)
            success = Success(task.sla, last.expected, last.read, last.share, day.share or 0.0, until)
            self._health.success[stream] = success
            self._judged.setdefault(stream, -1)  # none of these rounds was over before we began
            await self._judge(task, Span(stream, int(start), until, max(1, until - int(start))), last)

    def _momentary(self) -> dict[str, Counter[Task]]:
        """Return the tasks that read moments, by stream, each with how many meters it has."""
        found: dict[str, Counter[Task]] = {}
        for meter in self._archive.names:
            profile = self._archive.profile(meter)
            for task in self._tasks_of(meter):
                at_once = task.stream == INSTANT and (profile.registers or INSTANT in profile.streams)
                if (at_once or task.objects) and not self._archive.lacks(meter, task.stream):
                    found.setdefault(task.stream, Counter())[task] += 1
        return found

    def _moments(self, tasks: Counter[Task], stream: str, start: float, end: float) -> Tally:
        expected = sum(count * max(1, round((end - start) / average(task))) for task, count in tasks.items())
        read = min(expected, self._health.moments.read(stream, start, end))
        return Tally(expected, read, {Reason.NO_RECORD: expected - read} if read < expected else {})

    def _due(self, now: int) -> list[tuple[Task, Span]]:
        """Return for each stream what ought to be here by now, by the most patient of its tasks."""
        found: dict[str, tuple[Task, Span]] = {}
        periods = self._periods()
        for tasks in self._timetables.values():
            for task in tasks:
                if period := periods.get(task.stream, 0):
                    after, until = closed(task, period, now)
                    if task.stream not in found or until < found[task.stream][1].until:
                        found[task.stream] = task, Span(task.stream, after, until, period)
        return list(found.values())

    def _periods(self) -> dict[str, int]:
        """Return how far apart the captures of each stream usually are: what the companion profiles say."""
        profiles = {id(profile): profile for profile in map(self._archive.profile, self._archive.names)}
        streams = [item for profile in profiles.values() for item in profile.streams.items()]
        return {stream: held.period or 0 for stream, held in streams if stream not in MOMENTARY}

    async def _judge(self, task: Task, span: Span, tally: Tally) -> None:
        """Report a period that is over and below target, once; what was over before the start is not judged."""
        number = span.until // span.usual
        before = self._judged.get(task.stream, number)
        self._judged[task.stream] = number
        if number <= before or tally.share is None or tally.share >= task.sla:
            return
        missing = {reason.value: count for reason, count in tally.missing.items()} | {"open": tally.open}
        await self._report(
            "collection below target",
            stream=task.stream,
            until=iso(span.until),
            expected=tally.expected,
            read=tally.read,
            target=task.sla,
            missing=missing,
        )

    @property
    def commands(self) -> Mapping[str, Callable[[Command], Awaitable[dict[str, Any]]]]:
        """What answers the commands about the ledger; raises StoreError."""
        return {"dcu.gaps": self.gaps, "dcu.ledger": self.ledger}

    async def gaps(self, command: Command) -> dict[str, Any]:
        """Return what is missing, as ranges with reasons, and where the next page begins."""
        args: Mapping[str, Any] = command.args
        limit = args.get("limit", MAX_GAPS)
        lines = await self._store.ledger.gaps(
            [span for _, span in self._due(int(self._clock.now()))],
            meter=args.get("meter"),
            stream=args.get("stream"),
            since=args.get("since", 0),
            after=_place(args.get("after", "")),
            limit=limit + 1,
        )
        shown = lines[:limit]
        more = "/".join(map(str, shown[-1].place)) if len(lines) > limit else None
        return {"gaps": [self._gap(line) for line in shown], "more": more}

    def _gap(self, line: GapLine) -> dict[str, Any]:
        waits = line.reason in {None, Reason.PENDING}
        reason = self._reason(line.meter) if waits else line.reason
        assert reason is not None
        return {
            "meter": line.meter,
            "stream": line.stream,
            "from": iso(line.start),
            "to": iso(line.end),
            "intervals": line.intervals or None,
            "reason": reason.value,
            "open": waits,
        }

    def _reason(self, meter: str) -> Reason:
        """Return why what is still to be read is not here."""
        return self._why(meter) if meter in self._archive else Reason.NOT_CONFIGURED

    async def ledger(self, command: Command) -> dict[str, Any]:
        """Return by stream what is expected, read, stored, delivered and acknowledged since a time."""
        args: Mapping[str, Any] = command.args
        now, meter = int(self._clock.now()), args.get("meter")
        since = max(args.get("since", now - DAY), now - LEDGER_BOUND)
        due = {span.stream: Span(span.stream, since - 1, span.until, span.usual) for _, span in self._due(now)}
        asked = args.get("stream")
        names = [name for name in await self._store.outbox.streams() if asked in {None, name} and name != "result"]
        spans = [due[name] for name in names if name in due]
        tallies = dict(
            zip((span.stream for span in spans), await self._store.ledger.tallies(spans, meter), strict=True)
        )
        streams = {}
        for name in names:
            shipped = await self._store.outbox.shipped(name, since, meter)
            streams[name] = _told(tallies.get(name)) | {
                "stored": shipped.stored,
                "delivered": shipped.delivered,
                "acknowledged": shipped.acknowledged,
            }
        return {"since": iso(since), "meter": meter, "streams": streams}


def _told(tally: Tally | None) -> dict[str, Any]:
    if tally is None or tally.share is None:
        return {"expected": None, "read": None, "open": None, "missing": {}}
    missing = {reason.value: count for reason, count in tally.missing.items()}
    return {"expected": tally.expected, "read": tally.read, "open": tally.open, "missing": missing}


def _place(cursor: str) -> tuple[str, str, int]:
    """Return the place that a cursor names, as an answer gave it; the beginning for none."""
    if not cursor:
        return FIRST
    meter, stream, start = cursor.split("/")
    return meter, stream, int(start)
