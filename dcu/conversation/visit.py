"""What is asked in one visit and how the answers become captures. Nothing is kept here: `dcu.polling` stores it.

What each stream of the meter looks like is learned before, in `shapes`. Everything due is asked in one GET-WITH-LIST,
the clock first, so that all values of the answer and the meter's time belong to one instant; rows alone come without it
where it was measured over this association.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, Final

from dcu.clock import Clock
from dcu.conversation import recognition
from dcu.conversation.recognition import SERIAL, Asking
from dcu.conversation.session import Session, Yielded, never
from dcu.conversation.shapes import BUFFER, PROFILE_GENERIC, Shape
from dcu.dlms import cosem
from dcu.dlms.axdr import Typed, octets
from dcu.dlms.moment import DATE_TIME_SIZE, DateTime
from dcu.dlms.services import AccessError, Get, UnservedError, by_range
from dcu.errors import DcuError, MeterError
from dcu.model import NO_STATUS, Attribute, Capture, Column, Meter, Reason
from dcu.plan import calibration
from dcu.plan.backfill import Range, lost, settles, short, until
from dcu.plan.ledger import Asked
from dcu.profiles import CompanionProfile

#: How long (s) a measured clock serves the visits that go on over the same association, where rows bear their own time
#: and fall on whole periods: meters gain or lose some milliseconds meanwhile.
CLOCK_FRESH = 900.0

#: In place of an answer that did not come because the conversation stopped before.
NOT_TOLD: Final = object()


@dataclass(slots=True)
class Findings:
    """What a visit brought home: `asked` says what is settled with it, by (meter, stream), `more` what was cut short.

    `watermarks` say up to when a stream of this moment is read. `refused` says why a stream gave nothing, `outgrown`
    names those whose rows do not fit their shape, `recast` those that capture other columns now, or at another period:
    to be learned anew. `uneven` are those some of whose rows seem to be further apart than that, or nearer.
    `identity` is what the meter said it is, by word, where it was asked; `changed` what it was and is by those words,
    when that is another (`dcu.archive` compares), or which scaler a register had and has (`rescaled` until then);
    `since` is when all that was asked the last time (UTC seconds; None: not since the start). `serial` is the number it
    gave where it was asked for that much at least, None where it gave none. `clock` is there where the meter was asked
    for its time. `stopped` is what ended the conversation half-way, and `missed` the streams that were not answered for
    it.
    """

    captures: list[Capture] = field(default_factory=list)
    asked: dict[tuple[str, str], list[Asked]] = field(default_factory=dict)
    watermarks: dict[tuple[str, str], int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    more: list[str] = field(default_factory=list)
    outgrown: dict[str, Range] = field(default_factory=dict)
    recast: list[str] = field(default_factory=list)
    uneven: list[str] = field(default_factory=list)
    identity: dict[str, str] | None = None
    serial: str | None = None
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    rescaled: tuple[str, str] | None = None
    since: float | None = None
    offset: float | None = None
    clock: calibration.Reading | None = None
    bad_rows: int = 0
    missed: set[str] = field(default_factory=set)
    stopped: Yielded | DcuError | None = None

    def joined(self, later: "Findings") -> "Findings":
        """Return what this and `later` findings say of the meter itself, without what was read."""
        changed = {word: (self.changed.get(word, pair)[0], pair[1]) for word, pair in later.changed.items()}
        recast = [*dict.fromkeys((*self.recast, *later.recast))]
        since = later.since if self.since is None else self.since
        outgrown = self.outgrown | later.outgrown
        return Findings(changed=self.changed | changed, recast=recast, outgrown=outgrown, since=since)

    def disown(self) -> None:
        """Give up what was read by the shapes of a meter that is another one now."""
        for found in (self.captures, self.asked, self.watermarks, self.more, self.outgrown, self.recast):
            found.clear()


class Reading:
    """The questions of one visit and the reading of their answers.

    `wanted` maps each due stream to its range, None where it is what the meter holds at this moment: registers, or the
    newest row of a profile that is kept for that. `past` maps some of them to a range of what was left out before.
    Every one of them has its shape in `shapes`. `asking` says what is asked besides of who the meter is, and with all
    of it whether what is `known` still holds.
    """

    def __init__(
        self,
        meter: Meter,
        profile: CompanionProfile,
        shapes: Mapping[str, Shape],
        wanted: Mapping[str, Range | None],
        past: Mapping[str, Range] = MappingProxyType({}),
        *,
        asking: Asking = Asking.NOTHING,
        known: recognition.Known = recognition.NOTHING_KNOWN,
    ) -> None:
        self._meter = meter
        self._profile = profile
        self._shapes = shapes
        self._wanted = wanted
        self._past = past
        self._asking = asking
        self._known = known if asking is Asking.ALL else recognition.NOTHING_KNOWN

    def questions(self) -> list[Get]:
        """The clock, who the meter is, the registers, each profile by range, what it captures, periods, scalers.

        Who it is comes early: what is answered after it is known to be that meter's, wherever the conversation stops.
        """
        asked = [Get(self._profile.clock), *recognition.questions(self._profile, self._asking)]
        for stream in self._of_registers():
            asked += [Get(Attribute(c.class_id, c.name, c.index)) for c in self._shapes[stream].columns]
        asked += [self._question(stream, span) for stream, span in self._of_profiles()]
        if self._asking is Asking.ALL:
            asked += recognition.captured(self._profile, dict.fromkeys(stream for stream, _ in self._of_profiles()))
        asked += recognition.period_questions(self._profile, self._known.periods)
        return asked + recognition.scaler_questions(self._known.scalers)

    def _of_registers(self) -> list[str]:
        return [stream for stream in self._wanted if stream not in self._profile.streams]

    def _of_profiles(self) -> list[tuple[str, Range | None]]:
        due = [(stream, span) for stream, span in self._wanted.items() if stream in self._profile.streams]
        return due + list(self._past.items())

    def _question(self, stream: str, span: Range | None) -> Get:
        profile = self._profile.streams[stream]
        buffer = Attribute(PROFILE_GENERIC, profile.name, BUFFER)
        if span is None or profile.whole:
            return Get(buffer)
        return Get(buffer, by_range(self._profile.clock, _moment(span.start), _moment(span.end)))

    async def take(self, session: Session, clock: Clock, urgent: Callable[[], bool] = never) -> Findings:
        """Ask, and return what came, also when the conversation `stopped` half-way; `urgent` may stop it.

        Raises what `Session.get` raises when nothing came at all.
        """
        shift = self._known_clock(session, clock.monotonic())
        found = Findings()
        answers = await self._answers(found, session, self.questions()[shift is not None :], urgent)
        late = clock.monotonic() - session.asked_at
        read_at = clock.now()
        at, status = None, NO_STATUS
        if shift is None:
            found.clock, status = measured(session, next(answers), clock)
        if found.clock is not None:
            at, found.offset = found.clock.at, found.clock.offset
        elif shift is not None:
            at = math.floor(shift + session.asked_at)
            found.offset = shift + session.asked_at - (read_at - late)
        # to the millisecond: nobody knows more, and figures of noise cost six octets of every row on the air
        offset = None if found.offset is None else round(found.offset, 3)
        stamp = _Stamp(self._meter.id, round(read_at, 3), offset, clock.trusted())
        self._take_identity(found, answers)
        self._take_registers(found, stamp, (at if at is not None else int(read_at)), status, answers)
        self._take_profiles(found, stamp, at, answers)
        if found.identity is not None:  # all was told
            found.rescaled = recognition.rescaled(self._known.scalers, list(answers))
        return found

    async def _answers(
        self, found: Findings, session: Session, asked: list[Get], urgent: Callable[[], bool]
    ) -> Iterator[Any]:
        """Return an answer for each of `asked`, NOT_TOLD from where the conversation stopped."""
        try:
            return iter(await session.get(asked, urgent))
        except (Yielded, DcuError) as stop:
            if not stop.results:
                raise
            found.stopped = stop
            return chain(stop.results, repeat(NOT_TOLD, len(asked) - len(stop.results)))

    def _take_identity(self, found: Findings, answers: Iterator[Any]) -> None:
        said = recognition.identity(self._profile, self._asking, answers)
        found.serial = said.get(SERIAL)
        if self._asking is Asking.ALL and found.stopped is None:
            found.identity = said

    def _take_registers(
        self, found: Findings, stamp: "_Stamp", moment: int, status: int, answers: Iterator[Any]
    ) -> None:
        for stream in self._of_registers():
            columns = self._shapes[stream].columns
            told = [next(answers) for _ in columns]
            if NOT_TOLD in told:
                found.missed.add(stream)
            elif told and all(
                isinstance(answer, UnservedError) for answer in told
            ):  # a row of nothing, as anybody can say
                found.refused[stream] = str(told[0])
            else:
                found.captures.append(stamp.capture(stream, moment, status, tuple(map(_value, told)), columns))

    def _take_profiles(self, found: Findings, stamp: "_Stamp", at: int | None, answers: Iterator[Any]) -> None:
        profiles = self._of_profiles()
        rows = [next(answers) for _ in profiles]
        if self._asking is Asking.ALL and found.stopped is not None:  # what rows they are was not told any more
            rows = [NOT_TOLD for _ in profiles]
        elif self._asking is Asking.ALL:
            streams = dict.fromkeys(stream for stream, _ in profiles)
            recast = [each for each in streams if recognition.recast(next(answers), self._shapes[each].columns)]
            repaced = recognition.repaced(self._known.periods, [next(answers) for _ in self._known.periods])
            found.recast = [*dict.fromkeys((*recast, *repaced))]
        stray = lost(found.offset)
        for (stream, span), answer in zip(profiles, rows, strict=True):
            if answer is NOT_TOLD:
                found.missed.add(stream)
            elif stream not in found.recast:  # rows that seem to fit may be other values in the same form
                # what is pending lies behind rows that were read: a clock that is lost leaves it in the past
                if span is None or (stray and span is self._past.get(stream)):
                    self._take_rows(found, stamp, stream, span, answer)
                else:
                    self._take_rows(found, stamp, stream, until(span, at, int(stamp.read_at), stray=stray), answer)

    def _known_clock(self, session: Session, now: float) -> float | None:
        """Return the meter's clock minus monotonic time when that is known well enough for what is wanted."""
        evenly = all(span is not None and self._shapes[stream].period for stream, span in self._wanted.items())
        if session.meter_clock is None or not self._wanted or not evenly:
            return None
        shift, measured = session.meter_clock
        return shift if now - measured < CLOCK_FRESH else None

    def _take_rows(self, found: Findings, stamp: "_Stamp", stream: str, span: Range | None, answer: Any) -> None:
        shape, bad = self._shapes[stream], found.bad_rows
        rows = self._rows(found, stream, span, answer)
        if shape.period:  # given twice it is one; another under the same time would be that of a clock that went back
            rows = [row for number, row in enumerate(rows) if not number or row != rows[number - 1]]
        # of a profile of this moment its newest row, which may have been read before; otherwise: a meter that ignores
        # the range must not push the watermark past what was asked
        rows = rows[-1:] if span is None else [row for row in rows if span.start <= row[0] <= span.end]
        columns = cosem.value_columns(shape.columns)
        found.captures += [stamp.capture(stream, at, status, values, columns) for at, status, values in rows]
        if stream in found.refused:
            return
        key, times = (self._meter.id, stream), [at for at, _, _ in rows]
        if span is None:
            found.watermarks |= {key: times[0]} if times else {}
            return
        reason = Reason.CLOCK if lost(found.offset) else Reason.NO_RECORD
        now = int(stamp.read_at + min(0.0, found.offset or 0.0))
        dropped: list[int] = []
        if shape.period and found.bad_rows > bad:
            dropped = cosem.bad_times(answer, shape.columns, shape.period)
        # what came and cannot be used came all the same, unless it is all there is
        came = [*times, *(at for at in dropped if span.start <= at <= span.end)] if times else []
        asked = settles(span, shape.period, came, now, reason)
        if shape.period and not lost(found.offset) and not cosem.even(answer, shape.columns, shape.period, span.end):
            found.uneven.append(stream)
        if asked is not None:
            found.asked.setdefault(key, []).append(replace(asked, dropped=tuple(dropped)) if dropped else asked)
        if span.more or (came and asked is not None and short(span, asked, now)):
            found.more.append(stream)

    def _rows(self, found: Findings, stream: str, span: Range | None, answer: Any) -> list[cosem.Row]:
        """Return the rows that can be used; why there is none of them goes into `found`."""
        shape = self._shapes[stream]
        try:
            rows, bad = cosem.profile_rows(_granted(answer), shape.columns, shape.period)
        except MeterError as error:  # one profile that cannot be read must not cost the others
            found.refused[stream] = str(error)
            return []
        found.bad_rows += bad
        if bad and not rows:
            found.refused[stream] = f"none of {bad} rows fits the columns the meter once named"
            found.outgrown[stream] = span or Range(1, 0, more=False)  # without a span, no time was asked for
        return rows


@dataclass(frozen=True, slots=True)
class _Stamp:
    """The provenance that all captures of one visit share."""

    meter: str
    read_at: float
    offset: float | None
    trusted: bool

    def capture(
        self, stream: str, at: int, status: int, values: tuple[Any, ...], columns: tuple[Column, ...]
    ) -> Capture:
        return Capture(self.meter, stream, at, status, values, columns, self.read_at, self.offset, self.trusted)


def _granted(answer: Any) -> Any:
    if isinstance(answer, AccessError):
        raise MeterError(str(answer))
    return answer


def _moment(seconds: int) -> Typed:
    # as an octet string, as every meter has it; the type date-time (25) is younger than many of them
    return octets(DateTime.from_utc(seconds).to_bytes())


def measured(session: Session, answer: Any, clock: Clock) -> tuple[calibration.Reading | None, int]:
    """Return what the clock showed when the latest `get` of `session` asked it, None where it tells none; its status.

    What is read in whole seconds has gone on for half a second more, on the average.
    """
    if isinstance(answer, bytes) and len(answer) == DATE_TIME_SIZE:
        answer = DateTime.from_bytes(answer)
    if not isinstance(answer, DateTime):  # refused, or no date-time: everything else is worth having without it
        return None, NO_STATUS
    at = answer.utc()
    if at is None:
        return None, answer.status
    shown = at + (answer.hundredths / 100 if 0 < answer.hundredths < 100 else 0.5)
    session.meter_clock = shown - session.asked_at, session.asked_at
    offset = shown - (clock.now() - (clock.monotonic() - session.asked_at))
    return calibration.Reading(at, offset, answer.deviation, answer.status), answer.status


def _value(answer: Any) -> Any:
    return None if isinstance(answer, AccessError) else cosem.plain(answer)
