"""What is asked in one visit and how the answers become captures. It keeps nothing: `dcu.poll` stores what it returns.

A visit that has not met the meter before first learns the shape of each stream (which columns the meter captures,
their scalers and units, the capture period) from the meter itself; nothing is assumed from the companion profile but
where to look. Everything due is then asked in one GET-WITH-LIST, the clock first, so that all values of the answer
and the meter's time belong to one instant; rows alone come without it where it was measured over this association.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dcu.clock import Clock
from dcu.dlms import cosem
from dcu.dlms.axdr import Typed, octets
from dcu.dlms.moment import DateTime
from dcu.dlms.services import AccessError, Get, by_range
from dcu.errors import MeterError
from dcu.model import INSTANT, NO_STATUS, Attribute, Capture, Column, Meter
from dcu.profiles import CompanionProfile
from dcu.session import Session

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD = 2, 3, 4

#: Where scaler_unit lives in the classes that have one (Blue Book: Register, Extended register, Demand register).
SCALER_UNIT = {3: 3, 4: 3, 5: 4}

#: Access results that will not change by themselves: read-write denied, object undefined, class inconsistent,
#: unavailable (IEC 62056-5-3, Data-Access-Result).
LASTING = {3, 4, 9, 11}

#: Rows asked of one profile in one visit: a day of quarter hours. What is older follows in further visits.
SLICE_ROWS = 96

#: A slice may end only where every meter's clock has certainly passed; nearer to now it reaches to now instead, and
#: the watermark follows the rows: a row that a slow clock writes late is not skipped.
SETTLED = 3600

#: How long (s) a measured clock serves the visits that go on over the same association, where rows bear their own time
#: and fall on whole periods: meters gain or lose some milliseconds meanwhile.
CLOCK_FRESH = 900.0

#: Profiles without a period (billing, event logs) are asked whole, this far back at a time.
SLICE_APERIODIC = 400 * 86400


@dataclass(frozen=True, slots=True)
class Shape:
    """What one stream of a meter holds: its columns (the clock column included) and its capture period in s, or 0."""

    columns: tuple[Column, ...]
    period: int

    @property
    def slice(self) -> int:
        """Seconds of capture times that one visit asks for at most."""
        return SLICE_ROWS * self.period if self.period else SLICE_APERIODIC


@dataclass(frozen=True, slots=True)
class Range:
    """A closed interval of capture times to ask a profile for; `more` when the present lies beyond its end."""

    start: int
    end: int
    more: bool


@dataclass(slots=True)
class Findings:
    """What a visit brought home: `watermarks` say up to when a stream is now read, `more` names what was cut short.

    `refused` says why a stream gave nothing, `outgrown` names those whose shape is not what it was: to be learned anew.
    """

    captures: list[Capture] = field(default_factory=list)
    watermarks: dict[tuple[str, str], int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    more: list[str] = field(default_factory=list)
    outgrown: dict[str, Range] = field(default_factory=dict)
    offset: float | None = None
    bad_rows: int = 0


def next_range(shape: Shape, watermark: int | None, now: int, backfill: float) -> Range:
    """Return what to ask after `watermark` (None: never read, so `backfill` seconds back), one slice at most."""
    start = watermark + 1 if watermark is not None else now - int(backfill)
    end = start + shape.slice - 1
    if end > now - SETTLED:
        return Range(start, now, more=False)
    return Range(start, end, more=True)


async def learn(session: Session, profile: CompanionProfile, streams: Sequence[str]) -> dict[str, Shape]:
    """Ask the meter for the shapes of `streams`; one has no columns when the meter does not have it.

    All profiles are asked at once, then all scalers: each request costs a turn of the line.
    """
    found = await _profile_shapes(session, {s: profile.streams[s].name for s in streams if s != INSTANT})
    if INSTANT in streams:
        found[INSTANT] = Shape(tuple(Column(a.class_id, a.name, a.index) for a in profile.registers), 0)
    scalers = await _scalers(session, [column for shape in found.values() for column in shape.columns])
    if INSTANT in found:  # a register the meter lacks falls out; a profile's column keeps its place in the rows
        registers = found[INSTANT].columns
        had = tuple(c for c in registers if scalers.get((c.class_id, c.name), c) is not None)
        found[INSTANT] = Shape(had, 0)
    return {stream: Shape(_scaled(shape.columns, scalers), shape.period) for stream, shape in found.items()}


async def _profile_shapes(session: Session, names: Mapping[str, bytes]) -> dict[str, Shape]:
    """Return the shapes of profiles by stream, scalers and units not yet known."""
    asked = [
        Get(Attribute(PROFILE_GENERIC, name, index))
        for name in names.values()
        for index in (CAPTURE_OBJECTS, CAPTURE_PERIOD)
    ]
    answers = iter(await session.get(asked))
    return {
        stream: _profile_shape(objects, period) for stream, objects, period in zip(names, answers, answers, strict=True)
    }


def _profile_shape(objects: Any, period: Any) -> Shape:
    if _denied(objects) or _denied(period):
        return Shape((), 0)
    if type(period) is not int or period < 0:
        raise MeterError(f"not a capture period: {str(period)[:60]}")
    return Shape(cosem.decode_capture_objects(objects), period)


async def _scalers(session: Session, columns: Sequence[Column]) -> dict[tuple[int, bytes], Any]:
    """Return what the meter says of scaler and unit, by class and logical name."""
    objects = list(dict.fromkeys((c.class_id, c.name) for c in columns if c.class_id in SCALER_UNIT))
    answers = await session.get([Get(Attribute(kind, name, SCALER_UNIT[kind])) for kind, name in objects])
    return {key: None if _denied(answer) else answer for key, answer in zip(objects, answers, strict=True)}


def _denied(answer: Any) -> bool:
    """Whether `answer` is a lasting no; a passing one raises MeterError: what is learned is kept for long."""
    if not isinstance(answer, AccessError):
        return False
    if answer.code not in LASTING:
        raise MeterError(f"the shape of a stream cannot be learned now: {answer}")
    return True


def _scaled(columns: Sequence[Column], scalers: Mapping[tuple[int, bytes], Any]) -> tuple[Column, ...]:
    """Return `columns` with scaler and unit; (0, 255) where the meter tells none."""
    scaled = []
    for column in columns:
        answer = scalers.get((column.class_id, column.name))
        scaler, unit = (0, 255) if answer is None else cosem.decode_scaler_unit(answer)
        scaled.append(replace(column, scaler=scaler, unit=unit))
    return tuple(scaled)


class Reading:
    """The questions of one visit and the reading of their answers.

    `wanted` maps each due stream to its range (None for INSTANT); every one of them has its shape in `shapes`.
    """

    def __init__(
        self, meter: Meter, profile: CompanionProfile, shapes: Mapping[str, Shape], wanted: Mapping[str, Range | None]
    ) -> None:
        self._meter = meter
        self._profile = profile
        self._shapes = shapes
        self._wanted = wanted

    def questions(self) -> list[Get]:
        """The clock, the registers, then each profile by range."""
        asked = [Get(self._profile.clock)]
        if INSTANT in self._wanted:
            asked += [Get(Attribute(c.class_id, c.name, c.index)) for c in self._shapes[INSTANT].columns]
        for stream, span in self._wanted.items():
            if span is not None:
                selection = by_range(self._profile.clock, _moment(span.start), _moment(span.end))
                asked.append(Get(Attribute(PROFILE_GENERIC, self._profile.streams[stream].name, BUFFER), selection))
        return asked

    async def take(self, session: Session, clock: Clock) -> Findings:
        """Ask, and return what came; raises what `Session.get` raises, and MeterError for a clock that is none."""
        shift = self._known_clock(session, clock.monotonic())
        answers = iter(await session.get(self.questions()[shift is not None :]))
        late = clock.monotonic() - session.asked_at
        read_at = clock.now()
        found = Findings()
        at, status = _meter_clock(next(answers)) if shift is None else (None, NO_STATUS)
        if at is not None:
            found.offset = at - (read_at - late)
            session.meter_clock = at - session.asked_at, session.asked_at
        elif shift is not None:
            at = math.floor(shift + session.asked_at)
            found.offset = shift + session.asked_at - (read_at - late)
        stamp = _Stamp(self._meter.id, read_at, found.offset, clock.trusted())
        if INSTANT in self._wanted:
            columns = self._shapes[INSTANT].columns
            values = tuple(_value(next(answers)) for _ in columns)
            found.captures.append(
                stamp.capture(INSTANT, at if at is not None else int(read_at), status, values, columns)
            )
        for stream, span in self._wanted.items():
            if span is not None:
                self._take_rows(found, stamp, stream, _until(span, at), next(answers))
        return found

    def _known_clock(self, session: Session, now: float) -> float | None:
        """Return the meter's clock minus monotonic time when that is known well enough for what is wanted."""
        evenly = all(span is not None and self._shapes[stream].period for stream, span in self._wanted.items())
        if session.meter_clock is None or not self._wanted or not evenly:
            return None
        shift, measured = session.meter_clock
        return shift if now - measured < CLOCK_FRESH else None

    def _take_rows(self, found: Findings, stamp: "_Stamp", stream: str, span: Range, answer: Any) -> None:
        shape = self._shapes[stream]
        try:
            rows, bad = cosem.profile_rows(_granted(answer), shape.columns, shape.period)
        except MeterError as error:  # one profile that cannot be read must not cost the others
            found.refused[stream] = str(error)
            return
        columns = cosem.value_columns(shape.columns)
        found.bad_rows += bad
        if bad and not rows:
            found.refused[stream] = f"none of {bad} rows fits the columns the meter once named"
            found.outgrown[stream] = span
            return
        # a meter that ignores the range must not push the watermark past what was asked
        fresh = [row for row in rows if span.start <= row[0] <= span.end]
        found.captures += [stamp.capture(stream, at, status, values, columns) for at, status, values in fresh]
        if span.more:
            found.more.append(stream)
            found.watermarks[self._meter.id, stream] = span.end
        elif fresh:
            found.watermarks[self._meter.id, stream] = max(at for at, _, _ in fresh)


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


def _until(span: Range, now: int | None) -> Range:
    """Return the part of `span` that is over when the meter's clock shows `now`."""
    # a second that is not over may still bring another event with the same time, behind the watermark
    if now is None or now > span.end:
        return span
    return Range(span.start, now - 1, more=False)


def _granted(answer: Any) -> Any:
    if isinstance(answer, AccessError):
        raise MeterError(str(answer))
    return answer


def _moment(seconds: int) -> Typed:
    # as an octet string, as every meter has it; the type date-time (25) is younger than many of them
    return octets(DateTime.from_utc(seconds).to_bytes())


def _meter_clock(answer: Any) -> tuple[int | None, int]:
    """Return (UTC seconds or None, clock status). Raises MeterError when the clock attribute is no date-time."""
    if isinstance(answer, AccessError):  # the registers are worth having without it
        return None, NO_STATUS
    if isinstance(answer, bytes):
        answer = DateTime.from_bytes(answer)
    if not isinstance(answer, DateTime):
        raise MeterError(f"the clock is no date-time: {str(answer)[:60]}")
    return answer.utc(), answer.status


def _value(answer: Any) -> Any:
    return None if isinstance(answer, AccessError) else cosem.plain(answer)
