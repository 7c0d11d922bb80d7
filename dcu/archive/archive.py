"""What is known of each meter: its line of the configuration, its profile, the learned shapes, how far it is read.

It talks to a meter only to learn a shape that the store does not hold yet; the timetable is not here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from dcu.archive.explored import EXPLORED, Descriptors, Explored
from dcu.clock import Clock
from dcu.conversation.acquaintance import Acquaintance
from dcu.conversation.recognition import RECOGNISE_EVERY, SCALER, SERIAL, TITLE
from dcu.conversation.session import Session
from dcu.conversation.shapes import Shape, from_data, learn, missing, to_data
from dcu.conversation.visit import Findings
from dcu.errors import Breach, SecurityError
from dcu.model import ALARM, INSTANT, Attribute, Meter, Order, Reason, Task
from dcu.obis import format_obis
from dcu.plan.backfill import SETTLED, Range, ahead, newer, next_slice, slice_of
from dcu.plan.ledger import Account, Asked, Gap
from dcu.plan.standing import CLOCK_PLAY, Standing
from dcu.profiles import CompanionProfile
from dcu.store import Recorded
from dcu.store.ledger import Expected

log = structlog.get_logger()

#: Streams of what a meter holds at the moment it is asked.
MOMENTARY = frozenset((INSTANT, ALARM))

#: Name of the descriptor that holds who the meter said it is, beside its shapes; no stream can be called so.
IDENTITY = "@identity"


class Accounts(Protocol):
    """What is expected of meters, as far as it changes with what is learned of them."""

    async def forgo(self, meter: str, sinces: Mapping[str, int]) -> None: ...

    async def repeat(self, meter: str, start: int) -> None: ...

    async def reopen(self, meter: str, ats: Mapping[str, int], *, sure: bool) -> Mapping[tuple[str, str], Account]: ...

    async def renounce(self, meter: str, streams: Iterable[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store knew at the start, by (meter, stream): up to when each is read, and what a backfill has left."""

    watermarks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unread: Mapping[tuple[str, str], tuple[Gap, ...]] = field(default_factory=dict)


class Archive:
    """The meters of the box.

    `timetables`, by group ("": none), say how far back a meter is read the first time, and which end of it first.
    """

    def __init__(
        self,
        meters: Iterable[Meter],
        profiles: Mapping[str, CompanionProfile],
        timetables: Mapping[str, Iterable[Task]],
        descriptors: Descriptors,
        accounts: Accounts,
        kept: Kept,
    ) -> None:
        self._meters = {meter.id: meter for meter in meters}
        self._profiles = dict(profiles)
        self.timetables = {group: {task.stream: task for task in tasks} for group, tasks in timetables.items()}
        self._descriptors = descriptors
        self._accounts = accounts
        self.standing = Standing(kept.watermarks, kept.unread)
        self._shapes: dict[str, dict[str, Shape]] = {}
        # the shape each stream had when it was doubted last, and when (monotonic s); hardly ever one
        self._doubted: dict[tuple[str, str], tuple[Shape, float]] = {}
        self.acquaintance = Acquaintance()
        self._explored = Explored(descriptors)
        # meters of one model share one shape object: 1024 meters must not hold 1024 copies
        self._shared: dict[Shape, Shape] = {}

    def __contains__(self, meter: str) -> bool:
        return meter in self._meters

    @property
    def names(self) -> Collection[str]:
        return self._meters.keys()

    def __len__(self) -> int:
        return len(self._meters)

    def lines(self) -> Collection[Meter]:
        """Return the lines of all meters, as they are now."""
        return self._meters.values()

    def profile_called(self, name: str) -> CompanionProfile:
        """Return the profile of that name, which some meter follows; KeyError when none does."""
        return self._profiles[name]

    def knows_profile(self, name: str) -> bool:
        return name in self._profiles

    def add(self, meter: Meter, profile: CompanionProfile | None = None) -> None:
        """Take in a meter; `profile` is its companion profile unless that is known."""
        if profile is not None:
            self._profiles[profile.name] = profile
        self._meters[meter.id] = meter

    def remove(self, meter: str) -> None:
        """Forget a meter. Up to when it was read stays known: it may come back."""
        del self._meters[meter]
        self._forget(meter)

    def begin_anew(self, meter: str, since: int) -> None:
        """Forget the device that stood under this name: the one that comes is read from `since` (UTC seconds) on."""
        self._forget(meter)
        self.standing.forgo(meter)
        streams = {stream for tasks in self.timetables.values() for stream in tasks}.union(self.standing.streams)
        self.standing.move({(meter, stream): since for stream in streams})

    def _forget(self, meter: str) -> None:
        self._shapes.pop(meter, None)
        self._explored.forget(meter)
        self.acquaintance.forget(meter)

    def meter(self, meter: str) -> Meter:
        return self._meters[meter]

    def at(self, bus: str, address: int, logical: int | None = None) -> Meter | None:
        """Return the meter that has `address` on `bus`: of several there, the one that is that `logical` device.

        The first of them where it is not told. A single one is meant whichever of its logical devices speaks.
        """
        there = [each for each in self._meters.values() if (each.bus, each.address) == (bus, address)]
        meant = there if logical is None or len(there) == 1 else [m for m in there if m.logical_device == logical]
        return meant[0] if meant else None

    def called(self, bus: str, words: Collection[str]) -> Meter | None:
        """Return the meter on `bus` that has one of `words` for its serial number or its name here."""
        return next((m for m in self._meters.values() if m.bus == bus and (m.serial in words or m.id in words)), None)

    def titled(self, bus: str, title: bytes) -> Meter | None:
        """Return the meter on `bus` that has borne the system `title` since the start."""
        return next((m for m in self._meters.values() if m.bus == bus and self.acquaintance.title(m.id) == title), None)

    def opened_for(self, meter: str, task: str) -> Meter:
        """Return the meter as it is opened for `task`: by the client that its profile names for that, or as it is."""
        known, access = self._meters[meter], self.profile(meter).opens(task)
        return known if access is None or access == known.access else replace(known, access=access)

    def profile(self, meter: str) -> CompanionProfile:
        """Return the companion profile of a meter; of one that is explored, what it was found to have."""
        return self._explored.get(meter) or self._configured(meter)

    def _configured(self, meter: str) -> CompanionProfile:
        return self._profiles[self._meters[meter].profile]

    async def explore(self, session: Session, meter: str) -> CompanionProfile:
        """Ask the meter for its objects, and keep what it has; raises what `exploring.explore` raises."""
        return await self._explored.explore(session, meter, self._configured(meter))

    async def recall(self) -> None:
        """Have what is kept of meters that were explored before; raises StoreError."""
        for meter in tuple(self._meters):
            await self._explored.recall(meter, self._configured(meter))

    def periods(self, meter: str) -> set[int]:
        """Return the seconds at whose multiples `meter` captures, as far as it or its profile tells them."""
        told = {shape.period for shape in self.known(meter).values()}
        return (told | {stream.period or 0 for stream in self.profile(meter).streams.values()}) - {0}

    def known(self, meter: str) -> Mapping[str, Shape]:
        return self._shapes.get(meter, {})

    def paces(self, meter: str) -> dict[str, int]:
        """Return the capture periods (s) of those profiles that the timetable has read, as far as they are known."""
        tasks, profiles = self._timetable(meter), self.profile(meter).streams
        known = self.known(meter).items()
        return {stream: shape.period for stream, shape in known if shape.columns and stream in tasks.keys() & profiles}

    def relearn(self, meter: str, name: bytes) -> None:
        """Learn anew what the profile with this logical `name` looks like: somebody has changed it."""
        streams = self.profile(meter).streams
        for stream in [each for each in self.known(meter) if each in streams and streams[each].name == name]:
            del self._shapes[meter][stream]

    async def shapes(self, session: Session, meter: str, streams: Sequence[str]) -> dict[str, Shape]:
        """Return the shapes of those `streams` that the meter has; what is not known yet is learned and kept."""
        await self._explored.know(session, meter, self._configured(meter))
        if meter not in self._shapes:
            stored = await self._descriptors.of(meter)
            self._shapes[meter] = {
                # an empty one was learned from a meter that was there before
                name: self._share(meter, name, from_data(stored[name]))
                for name in self._shaped(meter, stored)
                if stored[name]
            }
        known = self._shapes[meter]
        if missing := [stream for stream in streams if stream not in known]:
            lists = self._lists(meter)
            for stream, shape in (await learn(session, self.profile(meter), missing, lists)).items():
                known[stream] = self._share(meter, stream, shape)
                # the operator may have changed a list since the start, and a register may be told tomorrow
                if stream in lists or shape.partial:
                    continue
                if shape.columns:
                    await self._descriptors.put(meter, stream, to_data(shape))
                else:  # it is asked for again after a restart
                    await self._accounts.renounce(meter, [stream])
        return {stream: known[stream] for stream in streams if stream in known and known[stream].columns}

    def ranges(self, meter: str, shapes: Mapping[str, Shape], now: int, slow: int = 0) -> dict[str, Range | None]:
        """Return what to ask of each stream: None for what is of this moment, else what is new since the last time.

        A meter whose clock was seen `slow` by so many seconds, most of a slice, is asked for what is new by that clock.
        """
        momentary = MOMENTARY | self._lists(meter).keys()
        return {
            stream: None if stream in momentary else self._new(meter, stream, shape.period, now, slow)
            for stream, shape in shapes.items()
        }

    def _lists(self, meter: str) -> dict[str, tuple[Attribute, ...]]:
        """Return the operator's own lists of attributes that are read from a meter, by stream."""
        return {stream: task.objects for stream, task in self._timetable(meter).items() if task.objects}

    def behind(self, meter: str, now: float) -> bool:
        """Whether the meter's clock, which shows `now`, went back behind rows that it gave before."""
        return any(mark > now + CLOCK_PLAY for mark in self.standing.of(meter).values())

    async def repeat(self, meter: str, start: int) -> None:
        """Have it told that from `start` on captures come under times that are here already; raises StoreError."""
        await self._accounts.repeat(meter, start)

    async def reopen(self, meter: str, now: int, shown: int | None) -> None:
        """Ask again for what counts as read and cannot be: beyond our clock `now` and what the meter's has `shown`.

        Where rows come as they come, the meter's alone counts: what it captures now has earlier times than what was
        read of it. `shown` is None where it tells no time: then only what is missing is asked for again. Raises
        StoreError.
        """
        shapes = self.known(meter)
        known = now if shown is None else shown
        kept = ((stream, shape) for stream, shape in shapes.items() if stream not in MOMENTARY)
        limits = {stream: max(now, known) if shape.period else known for stream, shape in kept}
        marks = self.standing.of(meter)
        void = {stream: at for stream, at in limits.items() if marks.get(stream, at) > at + CLOCK_PLAY}
        if void and shown is not None:
            self.standing.move({(meter, stream): at for stream, at in void.items()})
        if void:
            self.standing.follow(await self._accounts.reopen(meter, void, sure=shown is not None))

    async def said(self, meter: str, word: str) -> str:
        """Return what the meter is known by under `word` of `identity`, "" when nothing is. Raises StoreError."""
        return (await self.identity(meter)).get(word, "")

    async def identity(self, meter: str) -> Mapping[str, str]:
        """Return all that the meter is known by, by those words. Raises StoreError."""
        identity: Mapping[str, str] = (await self._descriptors.of(meter)).get(IDENTITY, {})
        return identity

    async def check_title(self, meter: str, title: bytes) -> None:
        """Raise SecurityError when the system `title` (b"": not told) is not that which the meter was recognised by."""
        if title and await self.title(meter) not in {b"", title}:
            raise SecurityError(Breach.TITLE, f"system title {title.hex()} is not that of {meter}")

    async def title(self, meter: str) -> bytes:
        """Return the system title that the meter was recognised by, b"" when none is known."""
        return self.acquaintance.title(meter) or bytes.fromhex(await self.said(meter, TITLE))

    def expect(self, wanted: Expected) -> None:
        """Begin at these times with what was never asked for."""
        for stream, sinces in wanted.items():
            for since, meters in sinces.items():
                self.standing.expect(stream, since, meters)

    def lacks(self, meter: str, stream: str) -> bool:
        """Whether a meter was asked for `stream` and does not have it."""
        shape = self.known(meter).get(stream)
        return shape is not None and not shape.columns

    def past(self, meter: str, shapes: Mapping[str, Shape], now: float) -> dict[str, Range]:
        """Return, for those of the streams that have something left to be read of the past, a slice of it.

        What came empty less than a while before `now` (monotonic s) is not asked for.
        """
        return {
            stream: next_slice(shape.period, left, self._order(meter, stream))
            for stream, shape in shapes.items()
            if (left := self.standing.askable(meter, stream, shape.period, now))
        }

    def _new(self, meter: str, stream: str, period: int, now: int, slow: int) -> Range:
        mark, task = self.standing.mark(meter, stream), self._timetable(meter).get(stream)
        start = now - int(task.backfill if task else 0) if mark is None else mark + 1
        since = start if mark is None else None
        # a profile that is always given whole is not asked for in slices
        profile = self.profile(meter).streams.get(stream)
        if profile is not None and profile.whole:
            return Range(start, ahead(period, now), more=False, since=since)
        # only where too little of a slice would be left: the clock may have been set meanwhile
        end = now - slow if start <= now - slow and 2 * slow > slice_of(period) else now
        return newer(period, start, end, self._order(meter, stream), since)

    def _timetable(self, meter: str) -> Mapping[str, Task]:
        return self.timetables.get(self._meters[meter].group) or self.timetables.get("", {})

    def _order(self, meter: str, stream: str) -> Order:
        task = self._timetable(meter).get(stream)
        return task.order if task else Order.NEWEST

    async def review(self, meter: str, found: Findings, clock: Clock) -> None:
        """Decide what `found` means for what is remembered; raises StoreError.

        Of another meter, or another program in it, nothing remembered holds: all is learned anew, and what was read by
        the old shapes is given up. A stream none of whose rows fitted is learned anew, once a day at most, and if its
        shape stays the same, passed over: such rows are of no use to anybody and must not hold up the others.
        """
        if found.identity is not None:
            self.acquaintance.recognised(meter, clock.monotonic(), found.identity)
            self._shapes[meter] = {name: shape for name, shape in self.known(meter).items() if not shape.partial}
            await self._compare(meter, found, int(clock.now()))
        for stream in found.recast:
            self._shapes[meter].pop(stream)
        for stream in [*found.outgrown]:
            self._outgrown(meter, stream, found, clock)

    def _outgrown(self, meter: str, stream: str, found: Findings, clock: Clock) -> None:
        shape, span, at = self._shapes[meter][stream], found.outgrown[stream], clock.monotonic()
        before, learned = self._doubted.get((meter, stream), (None, at))
        if before is shape:
            settled = int(clock.now() + min(0.0, found.offset or 0.0)) - SETTLED if shape.period else 0
            if (end := span.end if span.more else min(span.end, settled)) >= span.start:
                dropped = Asked(span.start, end, shape.period, Reason.DROPPED, span.since)
                found.asked.setdefault((meter, stream), []).append(dropped)
            found.more += [stream] if span.more else []
        if before is shape and at - learned < RECOGNISE_EVERY:  # to learn it anew would tell the same
            del found.outgrown[stream]
            return
        self._doubted[meter, stream] = shape, at
        self.acquaintance.doubt(meter)
        del self._shapes[meter][stream]

    async def _compare(self, meter: str, found: Findings, now: int) -> None:
        stored = await self._descriptors.of(meter)
        was, says = stored.get(IDENTITY, {}), found.identity or {}
        found.changed = {word: (was[word], said) for word, said in says.items() if was.get(word, said) != said}
        if found.rescaled and SERIAL not in found.changed:
            found.changed[SCALER] = found.rescaled
        if found.changed:
            found.disown()
            self._shapes[meter] = {}
            if not found.changed.keys().isdisjoint((SERIAL, TITLE)):
                backfills = {task.stream: int(task.backfill) for task in self._timetable(meter).values()}
                sinces = self.standing.anew(meter, now, backfills)
                await self._accounts.forgo(meter, sinces)
                self.standing.forgo(meter)
                self.standing.move({(meter, stream): since - 1 for stream, since in sinces.items()})
            # before the new name: a crash in between finds the change again
            for stream in self._shaped(meter, stored) | (stored.keys() & {EXPLORED}):
                await self._descriptors.put(meter, stream, {})
            self._explored.doubt(meter)
        if was | says != was:
            await self._descriptors.put(meter, IDENTITY, was | says)

    def stored(self, found: Findings, recorded: Recorded, now: float) -> list[str]:
        """Follow a commit at `now` (monotonic s); return the streams that have more to be asked for at once.

        Not those that stand as they did before: to ask at once would tell the same.
        """
        before = self.standing.left(recorded.accounts, now)
        self.standing.move(found.watermarks)
        self.standing.follow(recorded.accounts)
        for key, asked in found.asked.items():
            for each in asked:
                if each.reason is Reason.PENDING:
                    self.standing.came_empty(key, each.start, each.end, now)
        after = self.standing.left(recorded.accounts, now)
        stuck = {key[1] for key, how in after.items() if how == before[key]}
        more = (*found.more, *(key[1] for key, (_, left) in after.items() if left))
        return [stream for stream in dict.fromkeys(more) if stream not in stuck]

    def _shaped(self, meter: str, stored: Mapping[str, Any]) -> set[str]:
        """Return which of the names in `stored` are of shapes; whatever else is kept of a meter is none."""
        return stored.keys() & {*MOMENTARY, *self.profile(meter).streams}

    def _share(self, meter: str, stream: str, shape: Shape) -> Shape:
        """Return one object for all shapes that are alike; of the first it is told what it lacks."""
        if shape not in self._shared and (lacking := missing(self.profile(meter), stream, shape)):
            log.warning("a profile lacks columns", meter=meter, stream=stream, columns=[*map(format_obis, lacking)])
        return self._shared.setdefault(shape, shape)
