"""The archive's own lines: the commands that add, replace, delete, list, import and export them, and their start.

The lines of the configuration are the operator's and only shown. What the rooms learn of a meter that comes or goes is
`roll`'s business, what a line must look like `dcu.config`'s.

    checked with all that stand ──► kept in the store ──► taken in by plan, archive and sessions ──► told
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

from dcu.archive import Archive
from dcu.clock import Clock, iso
from dcu.config import BusConfig, Config
from dcu.config.judging import judge
from dcu.config.table import Judged, Standing, Table
from dcu.conversation.opening import SessionMaker
from dcu.enrolling.lines import in_place_of, listed, sent, table_of, words
from dcu.errors import CommandRejected, ConfigError
from dcu.health import Health
from dcu.host.aside import aside
from dcu.model import Command, Keys, Meter
from dcu.profiles import CompanionProfile, ProfileFolders, load_profile, stream_names
from dcu.report import Report
from dcu.store import Line, Station, line_of

if TYPE_CHECKING:
    from dcu.polling.discovery import Discovery  # loaded for buses where new meters are looked for

log = structlog.get_logger()

T = TypeVar("T")

#: Meters that one unit serves (R3).
MAX_METERS = 1024

#: Meters that come at once are told one by one up to so many, more of them as a number.
TOLD_SINGLY = 16

#: Lines that take no part are named in health up to so many.
MAX_PROBLEMS = 10

#: All keys that a line may have.
KEYS = tuple(each.name for each in fields(Meter))

#: Where a line came from that a command brought.
COMMAND = "command"


class LineStore(Protocol):
    """What is needed of the store; every method that writes returns after the commit, or raises StoreError."""

    async def added(self) -> list[Line]: ...

    async def add(self, meters: Sequence[Meter], origin: str) -> float: ...

    async def replace(self, meter: Meter, origin: str, streams: Iterable[str], since: int) -> None: ...

    async def drop(self, meter: str) -> None: ...

    async def meet(self, station: Station) -> None: ...

    async def stations(self) -> list[Station]: ...


class Rooms(Protocol):
    """What has to learn of meters that come and go."""

    def knows_profile(self, name: str) -> bool: ...

    def take_in(self, meter: Meter, keys: Keys, profile: CompanionProfile | None) -> None:
        """Let a meter take part; `profile` is its companion profile unless that is known."""

    async def let_go(self, meter: str, reason: str) -> None:
        """Let a meter take part no more, after a visit to it that is under way; its commands end with `reason`."""

    def begin_anew(self, meter: str, since: int) -> None:
        """Forget what was learned of the device under this name: the one that takes part now is read from `since`."""


class Aside(Protocol):
    """Does work in a process of its own."""

    async def __call__(self, work: Callable[..., T], *args: object) -> T: ...


@dataclass(frozen=True, slots=True)
class _Idle:
    """A line of the store that takes no part, and why."""

    line: Line
    reason: str


class Enrolment:
    """The archive of one box. `load` once, before anything is polled."""

    def __init__(
        self,
        config: Config,
        store: LineStore,
        rooms: Rooms,
        report: Report,
        clock: Clock,
        health: Health,
        apart: Aside = aside,
    ) -> None:
        self._config = config
        self._store = store
        self._rooms = rooms
        self._report = report
        self._clock = clock
        self._health = health
        self._apart = apart
        self._lines: dict[str, Line] = {}
        self._idle: dict[str, _Idle] = {}
        #: The search for new meters of each bus that has one, by its name.
        self.searches: dict[str, Discovery] = {}
        # two changes at once could each be good, and together not
        self._changing = asyncio.Lock()
        self.commands: Mapping[str, Callable[[Command], Awaitable[dict[str, Any]]]] = {
            "archive.list": self._list,
            "archive.export": self._export,
            "archive.found": self._found,
            "archive.discover": self._discover,
            "archive.add": self._add,
            "archive.replace": self._replace,
            "archive.delete": self._delete,
            "archive.import": self._import,
        }

    def search(self, bus: BusConfig, archive: Archive, sessions: SessionMaker) -> "Discovery | None":
        """Return the search for new meters on `bus`, None where the configuration has none."""
        if bus.discover is None:
            return None
        from dcu.polling.discovery import Discovery  # noqa: PLC0415 - for such buses only

        health = self._health.bus(bus.name)
        self.searches[bus.name] = Discovery(
            bus, bus.discover, archive, sessions, self._store, self._clock, health, self._report, self.enrol
        )
        return self.searches[bus.name]

    async def load(self) -> None:
        """Take in the lines of the store that still agree with the configuration; the others are kept and shown."""
        lines = await self._store.added()
        if not lines:
            return
        judged = await self._judge(table_of([line.meter for line in lines]))
        good = {meter.id for meter in judged.meters}
        for number, line in enumerate(lines, start=1):
            name = line.meter.id
            if name in good:
                self._lines[name] = line
                continue
            own = (each for each in judged.problems if each.startswith(f"archive:{number}:"))
            self._idle[name] = _Idle(line, next(own, judged.problems[0]))
            log.error("a line of the archive takes no part", meter=name, reason=self._idle[name].reason)
        self._note_idle()
        await self._take_in(judged)

    def _note_idle(self) -> None:
        self._health.archive = [
            f"archive: {name} takes no part: {idle.reason}" for name, idle in islice(self._idle.items(), MAX_PROBLEMS)
        ]

    async def enrol(self, meters: Sequence[Meter], origin: str) -> None:
        """Add `meters`, all or none. Raises CommandRejected with what is wrong with them, StoreError."""
        async with self._changing:
            judged = await self._judge(table_of(meters))
            if judged.bad:
                raise CommandRejected("; ".join(judged.problems))
            await self._enter(judged, origin)

    async def _add(self, command: Command) -> dict[str, Any]:
        return await self._enter_table(sent(command), partial=False)

    async def _import(self, command: Command) -> dict[str, Any]:
        return await self._enter_table(sent(command), partial=bool(command.args["partial"]))

    async def _enter_table(self, table: Table, *, partial: bool) -> dict[str, Any]:
        async with self._changing:
            unknown, there = self._without_known(table)
            judged = await self._judge(unknown)
            if judged.bad and not partial:
                raise CommandRejected(_refusal(judged, len(table.rows)))
            await self._enter(judged, COMMAND)
        return {"added": len(judged.meters), "there": there, "refused": judged.bad, "problems": judged.problems}

    async def _enter(self, judged: Judged, origin: str) -> None:
        count = len(self._config.meters) + len(self._lines) + len(self._idle) + len(judged.meters)
        if count > MAX_METERS:
            raise CommandRejected(f"{count} meters would be in the archive: expected at most {MAX_METERS}")
        if not judged.meters:
            return
        added = await self._store.add(judged.meters, origin)
        self._lines |= {meter.id: Line(meter, origin, added) for meter in judged.meters}
        await self._take_in(judged)
        await self._tell_added(judged.meters, origin)

    async def _take_in(self, judged: Judged) -> None:
        for meter in judged.meters:
            profile = None
            if not self._rooms.knows_profile(meter.profile):
                profile = await self._apart(load_profile, meter.profile, self._folders())
            self._rooms.take_in(meter, judged.keys[meter.id], profile)

    async def _tell_added(self, meters: Sequence[Meter], origin: str) -> None:
        if len(meters) > TOLD_SINGLY:
            await self._report("meter added", count=len(meters), origin=origin)
            return
        for meter in meters:
            await self._report("meter added", meter=meter.id, bus=meter.bus, address=meter.address, origin=origin)

    async def _replace(self, command: Command) -> dict[str, Any]:
        table = sent(command)
        name = dict(words(table)).get("id", "")
        async with self._changing:
            old = self._own(name)
            judged = await self._judge(in_place_of(old.meter, table), without=name)
            if judged.bad:
                raise CommandRejected("; ".join(judged.problems))
            (meter,) = judged.meters
            if meter == old.meter:  # the same command again, after a crash
                return {"replaced": name}
            if not self._clock.trusted():
                raise CommandRejected("the clock is not trusted: it cannot say since when the rows are the new meter's")
            await self._exchange(meter, judged)
        await self._report("meter exchanged", meter=name, before=line_of(old.meter), after=line_of(meter))
        return {"replaced": name}

    async def _exchange(self, meter: Meter, judged: Judged) -> None:
        since = int(self._clock.now())
        timetables = (self._config.timetable, *self._config.groups.values())
        streams = {task.stream for timetable in timetables for task in timetable}
        await self._store.replace(meter, COMMAND, sorted(streams), since)
        if meter.id in self._lines:
            await self._rooms.let_go(meter.id, "another meter was put in its place")
        self._idle.pop(meter.id, None)
        self._note_idle()
        self._lines[meter.id] = Line(meter, COMMAND, since)
        self._rooms.begin_anew(meter.id, since)
        await self._take_in(judged)

    async def _delete(self, command: Command) -> dict[str, Any]:
        names = listed(command.args["ids"])
        async with self._changing:
            for name in names:
                self._own(name)
            for name in names:
                await self._store.drop(name)
                self._idle.pop(name, None)
                if self._lines.pop(name, None):
                    await self._rooms.let_go(name, "the meter was deleted from the archive")
            self._note_idle()
        log.info("deleted from the archive", meters=names)
        return {"deleted": names}

    async def _list(self, command: Command) -> dict[str, Any]:
        first, count = _part(command)
        entries = list(self._entries())
        shown = [_shown(meter, line, where, why) for meter, line, where, why in entries[first : first + count]]
        return {"meters": shown, "total": len(entries)}

    async def _export(self, command: Command) -> dict[str, Any]:
        first, count = _part(command)
        meters = [meter for meter, *_ in self._entries()]
        table = table_of(meters[first : first + count], KEYS)
        return {"columns": table.columns, "rows": table.rows, "total": len(meters)}

    async def _discover(self, command: Command) -> dict[str, Any]:
        names = listed(command.args["buses"]) or list(self.searches)
        unknown = [name for name in names if name not in self.searches]
        if unknown or not names:
            raise CommandRejected(f"no search is configured on {', '.join(unknown) or 'any bus'} (buses: discover)")
        return {"addresses": {name: self.searches[name].start() for name in names}}

    async def _found(self, command: Command) -> dict[str, Any]:
        first, count = _part(command)
        named = {(meter.bus, meter.address) for meter, *_ in self._entries()}
        stations = [each for each in await self._store.stations() if (each.bus, each.address) not in named]
        shown = [
            {"bus": each.bus, "address": each.address, "at": iso(int(each.at)), **each.facts}
            for each in stations[first : first + count]
        ]
        return {
            "found": shown,
            "total": len(stations),
            "searches": {name: search.progress() for name, search in self.searches.items()},
        }

    def _entries(self) -> Iterator[tuple[Meter, Line | None, str, str]]:
        """Yield all lines: the meter, the store's line if it is one, where it stands, and why it takes no part."""
        for at, meter in enumerate(self._config.meters):
            yield meter, None, f"meters[{at}] of {self._config.file}", ""
        for line in self._lines.values():
            yield line.meter, line, _where(line), ""
        for idle in self._idle.values():
            yield idle.line.meter, idle.line, _where(idle.line), idle.reason

    def _own(self, name: str) -> Line:
        """Return a line that commands may change. Raises CommandRejected for any other."""
        if name in self._lines:
            return self._lines[name]
        if name in self._idle:
            return self._idle[name].line
        for meter, _, where, _ in self._entries():
            if meter.id == name:
                raise CommandRejected(f"{name} is {where}: it is changed there, by the operator")
        raise CommandRejected(f"no such meter: {name}")

    def _without_known(self, table: Table) -> tuple[Table, int]:
        """Return `table` without the lines that are in the archive word for word, and how many these are."""
        known = {words(table_of([meter])) for meter, *_ in self._entries()}
        keep = [at for at in range(len(table.rows)) if words(table, at) not in known]
        rows, numbers = tuple(table.rows[at] for at in keep), tuple(table.numbers[at] for at in keep)
        return Table(table.file, table.columns, rows, numbers), len(table.rows) - len(rows)

    async def _judge(self, table: Table, without: str | None = None) -> Judged:
        config = self._config
        standing = Standing(
            meters=tuple((each, f"{each.id}, {where},") for each, _, where, _ in self._entries() if each.id != without),
            buses=config.buses,
            access=config.access,
            profiles=partial(stream_names, config.dcu.profiles_dir),
            keys_file=config.keys_file,
            groups=config.groups,
        )
        try:
            return await self._apart(judge, table, standing)
        except ConfigError as error:  # of the profiles: none of the lines can be judged
            return Judged(problems=list(error.problems), bad=len(table.rows))

    def _folders(self) -> ProfileFolders:
        return ProfileFolders.at(self._config.dcu.profiles_dir)


def _where(line: Line) -> str:
    return f"of the archive, added {iso(int(line.added))} by {line.origin}"


def _shown(meter: Meter, line: Line | None, where: str, why: str) -> dict[str, Any]:
    shown = line_of(meter) | {"where": where}
    if line is not None:
        shown |= {"origin": line.origin, "added": iso(int(line.added))}
    return shown | ({"problem": why} if why else {})


def _refusal(judged: Judged, rows: int) -> str:
    if rows == 1:
        return "; ".join(judged.problems)
    return "\n".join((f"{judged.bad} of {rows} lines are wrong, nothing was added", *judged.problems))


def _part(command: Command) -> tuple[int, int]:
    first, count = command.args["from"], command.args["count"]
    assert isinstance(first, int)
    assert isinstance(count, int)
    return first, count
