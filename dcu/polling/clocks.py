"""The clocks of one bus's meters: remembered as they are measured, and moved where that is wanted and allowed.

Whether a clock is to be moved, and by how much, is decided in `dcu.plan.calibration`; when it is measured, in `visit`.

    measured ──► an adjustment that a crash cut off is concluded ──► a point a day is kept ──► advice
    MOVE ──kept as begun──► shift_time, or time written ──► read again ──kept as over──► "clock adjusted"
    WAIT ──► a visit at the better moment        FAR, or the meter refuses ──► "clock off too far", once a day
    Each move follows a measurement of its own, so that one which may have been carried out is never made twice.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import structlog

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import DAY, Clock, iso
from dcu.config.settings import ClockSettings
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import Session, unwatched
from dcu.conversation.visit import measured
from dcu.dlms import axdr
from dcu.dlms.moment import DateTime
from dcu.dlms.services import AccessError, Action, Get, Set
from dcu.errors import MeterError, NotAskedError, NotGivenError, NotServedError, SecurityError
from dcu.model import NO_STATUS, Attribute, Meter
from dcu.plan.calibration import Advice, Reading, Rules, Verdict, advise, crossed, jumped
from dcu.polling.presence import ascertain
from dcu.report import Report
from dcu.store import Adjustment

log = structlog.get_logger()

#: The command that sets a clock whatever it shows, and the task whose access a companion profile may name.
SET_CLOCK: Final = "meter.set-clock"
TASK: Final = "clock.set"

#: shift_time moves a clock by up to so many seconds; its number in class 8 (IEC 62056-6-2).
SHIFT_TIME: Final = 6
MAX_SHIFT: Final = 900

#: Seconds by which a clock that was moved may miss the right time: it is read and written in whole seconds.
MISS: Final = 3.0

#: Seconds until a clock that could not be moved, for want of an answer, is tried again.
RETRY: Final = 3600.0

#: A clock that is right to this is not set by a command either: it would only lose the half second.
EXACT: Final = 1.0

#: The daylight saving bit of a clock's status: what is written keeps it as the meter has it.
_DST: Final = 0x80

SHIFT, SET = "shift", "set"


class ClockStore(Protocol):
    """What is needed of the store; every method that writes returns after the commit, or raises StoreError."""

    async def shows(self, meter: str, at: int, offset: float, *, anew: bool = False) -> None: ...

    async def points(self, meter: str) -> list[tuple[int, float]]: ...

    async def latest(self) -> dict[str, tuple[int, float]]: ...

    async def adjust_begins(self, meter: str, adjustment: Adjustment) -> None: ...

    async def adjust_ends(self, meter: str, moved: float) -> None: ...

    async def adjustments(self) -> dict[str, Adjustment]: ...


@dataclass(frozen=True, slots=True)
class Target:
    """A meter whose clock is looked at: its clock object, and the periods (s) at whose multiples it captures.

    `access` is the one by which it may be moved, None: the meter's own.
    """

    meter: Meter
    clock: Attribute
    periods: Collection[int]
    access: str | None = None
    #: Asked before the clock is moved because of a command; raises what keeps it from being moved.
    permit: Callable[[], None] = unwatched


@dataclass(slots=True)
class Clocks:
    """The clocks of all meters of one bus. `load` once before use."""

    settings: ClockSettings
    archive: Archive
    sessions: SessionMaker
    store: ClockStore
    clock: Clock
    report: Report
    _noted: dict[str, int] = field(default_factory=dict)
    _open: dict[str, Adjustment] = field(default_factory=dict)
    _waits: dict[str, float] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _rests: dict[str, float] = field(default_factory=dict)
    _only_set: set[str] = field(default_factory=set)

    async def load(self, knows: Callable[[str], bool]) -> None:
        """Take from the store what it has of the meters of this bus."""
        newest, adjustments = await self.store.latest(), await self.store.adjustments()
        self._noted = {meter: at for meter, (at, _) in newest.items() if knows(meter)}
        self._open = {meter: each for meter, each in adjustments.items() if each.open and knows(meter)}

    def forget(self, meter: str) -> None:
        """Forget a meter that takes part no more."""
        for known in (self._noted, self._open, self._waits, self._asked, self._rests):
            known.pop(meter, None)
        self._only_set.discard(meter)

    def due(self, now: float) -> list[str]:
        """Return the meters for which the moment has come that was waited for, `now` in monotonic seconds."""
        come = [meter for meter, at in self._waits.items() if at <= now]
        for meter in come:
            del self._waits[meter]
        return come

    async def note(self, meter: str, reading: Reading) -> bool:
        """Remember what a clock showed; return whether it is to be moved now. Raises StoreError."""
        if not self.clock.trusted():
            return False
        target = self._target(meter)
        await self._conclude(meter, reading)
        await self._keep(meter, reading)
        advice = self._advice(target, reading)
        if advice.verdict is Verdict.FAR:
            await self._ask(meter, f"off by {reading.offset:.1f} s")
        if not self.settings.set or self._rests.get(meter, 0.0) > self.clock.monotonic():
            return False
        if advice.verdict is Verdict.WAIT:
            self._waits[meter] = self.clock.monotonic() + advice.wait
        return advice.moves

    def _target(self, meter: str) -> Target:
        profile = self.archive.profile(meter)
        periods = self.archive.periods(meter)
        return Target(self.archive.meter(meter), profile.clock, periods, self.settings.access or profile.opens(TASK))

    def _advice(self, target: Target, reading: Reading) -> Advice:
        return advise(reading, target.periods, Rules(self.settings.tolerance, self.settings.limit))

    async def _conclude(self, meter: str, reading: Reading) -> None:
        """Find out how an adjustment ended that was cut off: the clock shows whether it was carried out."""
        adjustment = self._open.pop(meter, None)
        if adjustment is None:
            return
        went = reading.offset - adjustment.offset
        done = abs(went - adjustment.shift) < abs(adjustment.shift) / 2
        await self.store.adjust_ends(meter, adjustment.shift if done else 0.0)
        if done:
            await self._tell(meter, adjustment, reading.offset, interrupted=True)

    async def _keep(self, meter: str, reading: Reading, *, moving: bool = False) -> None:
        """Remember what a clock shows, once a day; and if it is to be moved, as all points then are, a jump at once."""
        now = int(self.clock.now())
        newest = self._noted.get(meter)
        fresh = newest is not None and 0 <= now - newest < DAY
        if fresh and not moving:
            return
        points = await self.store.points(meter) if newest is not None else []
        anew = bool(points) and jumped(points[-1], (now, reading.offset))
        if fresh and not anew:
            return
        await self.store.shows(meter, now, round(reading.offset, 2), anew=anew)
        self._noted[meter] = now

    async def _ask(self, meter: str, reason: str) -> None:
        """Tell that a person has to look at a clock, once a day."""
        now = self.clock.monotonic()
        if now - self._asked.get(meter, -DAY) < DAY:
            return
        self._asked[meter] = now
        await self.report("clock off too far", meter=meter, reason=reason)

    async def _tell(self, meter: str, adjustment: Adjustment, after: float, **more: object) -> None:
        before = round(adjustment.offset, 1)
        method = adjustment.method
        await self.report("clock adjusted", meter=meter, before=before, after=round(after, 1), method=method, **more)

    async def follow(self, session: Session, meter: str, port: Port, alive: Callable[[], None]) -> Session | None:
        """Move a clock that is to be moved over `session`, or over one that may; return what is still open of it.

        A failure costs the visit nothing it has: the next measurement shows what became of the clock. Raises
        SecurityError, before anything is said, to another meter that has the same keys.
        """
        target = self._target(meter)
        try:
            opened = self._opened(target)
            if opened is target.meter:
                await self._move(session, target)
                return session
            await session.close()
            mover = await self.sessions.open(port, opened, alive)
            await self.archive.check_title(meter, mover.title)
            await self._move(mover, target)
            await mover.close()
        except NotGivenError as error:
            await self._refused(target, str(error))
        except SecurityError:  # no failure of this meter: another one answers
            self._rests[meter] = self.clock.monotonic() + RETRY
            raise
        except MeterError as error:
            log.warning("a clock could not be moved", meter=target.meter.id, reason=str(error)[:200])
            self._rests[target.meter.id] = self.clock.monotonic() + RETRY
        return None

    def _opened(self, target: Target) -> Meter:
        """Return the meter as it is opened to move its clock. Raises NotAskedError when there are no keys for that."""
        if target.access in {None, target.meter.access}:
            return target.meter
        opened = replace(target.meter, access=target.access)
        if self.sessions.lacks_keys(opened):
            raise NotAskedError(f"no keys for the access {target.access}")
        return opened

    async def _refused(self, target: Target, reason: str) -> None:
        self._rests[target.meter.id] = self.clock.monotonic() + DAY
        await self._ask(target.meter.id, reason)

    async def _move(self, session: Session, target: Target) -> None:
        """Move a clock if it still is to be, in an open session that may.

        Raises NotGivenError when the meter refuses, and what `Session.get` raises.
        """
        reading = await self._measure(session, target)
        advice = self._advice(target, reading)
        if not advice.moves:
            return
        after = await self._carry_out(session, target, reading, advice.shift)
        if abs(after.offset - reading.offset - advice.shift) > MISS:  # it says yes and does something else
            self._rests[target.meter.id] = self.clock.monotonic() + DAY
            log.warning("a clock did not follow", meter=target.meter.id, before=reading.offset, after=after.offset)
        elif abs(after.offset) > self.settings.tolerance:  # a step: the next one in the next interval
            self._waits[target.meter.id] = self.clock.monotonic() + self._advice(target, after).wait

    async def command(
        self, meter: str, port: Port, alive: Callable[[], None], permit: Callable[[], None] = unwatched
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Set a clock because somebody decided so, whatever it shows and whatever boundaries are crossed.

        Return the answer, or why there is none; raises what `SessionMaker.open` and `Session.perform` raise, and
        NotAskedError when it is not so much as opened.
        """
        try:
            return await self._set_now(replace(self._target(meter), permit=permit), port, alive), None
        except NotAskedError:
            raise
        except NotGivenError as error:
            return None, str(error)

    async def _set_now(self, target: Target, port: Port, alive: Callable[[], None]) -> dict[str, Any]:
        if not self.clock.trusted():
            raise NotAskedError("this unit's own clock is not trusted")
        opened = self._opened(target)
        session = await self.sessions.open(port, opened, alive)
        try:
            await ascertain(session, self.archive, target.meter.id, self.clock, own=opened is target.meter)
            return await self._set(session, target)
        finally:
            await session.close()

    async def _set(self, session: Session, target: Target) -> dict[str, Any]:
        before = await self._measure(session, target)
        shift = -round(before.offset)
        after = before
        if abs(before.offset) > EXACT:
            target.permit()
            after = await self._carry_out(session, target, before, shift)
        self._waits.pop(target.meter.id, None)
        self._rests.pop(target.meter.id, None)
        if abs(after.offset) > MISS:
            raise NotGivenError(f"the meter took it, and its clock is off by {after.offset:.1f} s")
        return {
            "meter": target.meter.id,
            "before": round(before.offset, 1),
            "after": round(after.offset, 1),
            "at": iso(after.at),
            "crossed": crossed(before.at, before.at + shift, target.periods),
        }

    async def _measure(self, session: Session, target: Target) -> Reading:
        (answer,) = await session.get([Get(target.clock)])
        reading, _ = measured(session, answer, self.clock)
        if reading is None:
            raise NotGivenError("the meter does not tell its time")
        return reading

    async def _carry_out(self, session: Session, target: Target, before: Reading, shift: int) -> Reading:
        """Move the clock by `shift` seconds and return what it shows then. Raises NotGivenError when it refuses."""
        meter = target.meter.id
        method = SET if meter in self._only_set or abs(shift) > MAX_SHIFT else SHIFT
        adjustment = Adjustment(int(self.clock.now()), round(before.offset, 2), shift, method)
        await self._keep(meter, before, moving=True)
        await self._begin(meter, adjustment)
        refusal = await self._perform(session, target, method, before, shift)
        if refusal and method == SHIFT:  # not every meter has this method, or gives it to us
            self._only_set.add(meter)
            adjustment = replace(adjustment, method=SET)
            await self._begin(meter, adjustment)
            refusal = await self._perform(session, target, SET, before, shift)
        if refusal:
            await self._end(meter, 0.0)
            raise NotGivenError(f"the meter refuses to have its clock set: {refusal}")
        session.meter_clock = None
        after = await self._measure(session, target)
        await self._end(meter, after.offset - before.offset)
        await self._tell(meter, adjustment, after.offset)
        return after

    async def _begin(self, meter: str, adjustment: Adjustment) -> None:
        await self.store.adjust_begins(meter, adjustment)
        self._open[meter] = adjustment

    async def _end(self, meter: str, moved: float) -> None:
        self._open.pop(meter, None)
        await self.store.adjust_ends(meter, moved)

    async def _perform(self, session: Session, target: Target, method: str, before: Reading, shift: int) -> str:
        """Return why the meter does not do it, "" when it does."""
        name = target.clock.name
        try:
            if method == SHIFT:
                answer = await session.perform(Action(target.clock.class_id, name, SHIFT_TIME, axdr.i16(shift)))
            else:
                answer = await session.perform(Set(target.clock, axdr.octets(self._moved(before, shift))))
        except NotServedError as error:
            return str(error)
        return str(answer) if isinstance(answer, AccessError) else ""

    def _moved(self, before: Reading, shift: int) -> bytes:
        """Return what the clock is to show now, as the meter tells its time: by its deviation, or without one."""
        status = NO_STATUS if before.status == NO_STATUS else before.status & _DST
        moment = DateTime.from_utc(round(self.clock.now() + before.offset + shift), before.deviation or 0, status)
        return (moment if before.deviation is not None else moment._replace(deviation=None)).to_bytes()
