"""What meters tell of their own accord: who it was, what of it is believed and kept, who is read at once for it.

Which octets carry it is `dcu.dlms.listening`'s business; when a bus has the time to listen, `poll` knows.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.conversation.opening import SessionMaker
from dcu.conversation.recognition import word_of
from dcu.conversation.unasked import Unsealed, plain
from dcu.dlms import cosem
from dcu.dlms.axdr import BitString
from dcu.dlms.listening import Listener, Told
from dcu.dlms.moment import DateTime
from dcu.dlms.notifications import (
    DataNotification,
    EventNotification,
    Notification,
    confirmation,
    decode_notification,
    is_notification,
)
from dcu.dlms.security import is_ciphered, title_in
from dcu.errors import Breach, BusError, DcuError, SecurityError, ShelteredError, StoreError
from dcu.events import EventSieve
from dcu.health import BusHealth
from dcu.model import ALARM, NO_STATUS, PUSH, Capture, Column, Framing, Meter, Value
from dcu.plan.backfill import lost
from dcu.polling.repetition import ANEW, Repetition
from dcu.report import Report, report_breach

#: The longest that a line is listened to at a stretch, in seconds, and the reads from it: a visit may be due.
LISTEN_BOUND: Final = 10.0
MAX_READS: Final = 64

#: Pushes of one meter that are kept within PERIOD seconds. A meter that says more is read all the same, and has to say
#: it again where it wants it confirmed.
BURST: Final = 8
PERIOD: Final = 60.0

#: The bit of a clock's status that says so of its time (IEC 62056-6-2, 4.1.6.1).
_INVALID: Final = 0x01

_PUSH_SETUP: Final = 40
_PUSHES: Final = b"\x00\x00\x19\x09\x00\xff"


class Keeping(Protocol):
    """What is needed of the store."""

    async def record(
        self, captures: Sequence[Capture], watermarks: Mapping[tuple[str, str], int], heard: Mapping[str, int]
    ) -> object:
        """Keep all in one transaction; returns after the commit. Raises StoreError."""


@dataclass(slots=True)
class Pushes:
    """The unasked words of one bus."""

    bus: str
    framing: Framing
    archive: Archive
    sessions: SessionMaker
    events: EventSieve
    store: Keeping
    clock: Clock
    health: BusHealth
    report: Report
    _rates: dict[str, tuple[float, int]] = field(default_factory=dict)
    #: What was confirmed of late: the confirmation may not have arrived.
    _repetition: Repetition = field(default_factory=Repetition)
    _listener: Listener = field(init=False)

    def __post_init__(self) -> None:
        self._listener = Listener(self.framing)

    async def listen(self, port: Port, wake: asyncio.Event, pause: float) -> list[str]:
        """Hear `port` for `pause` s at most, or until `wake` is set or somebody has told something.

        Returns the meters to be read at once. Raises BusError and StoreError.
        """
        self._listener.forget()
        end = asyncio.get_running_loop().time() + min(pause, LISTEN_BOUND)
        for _ in range(MAX_READS):
            data = await _read(port, wake, end - asyncio.get_running_loop().time())
            if not data:
                return []
            self._listener.receive_data(data)
            told = []
            while (each := self._listener.next_told()) is not None:
                told.append(each)
            if told:
                return await self._take(port, told)
        return []

    async def of_visit(self, meter: str, said: Iterable[Notification]) -> bool:
        """Keep what a meter `said` within a conversation whose protection it has passed; return whether that was done.

        Raises StoreError.
        """
        captures = [capture for word in said for capture in self._captures(meter, word)]
        return await self._keep(meter, captures, plain(b"")) is not None

    async def _take(self, port: Port, told: Iterable[Told]) -> list[str]:
        speakers = []
        for each in told:
            meter = await self._hear(port, each)
            if meter is None:
                self.health.strangers += 1
            else:
                self.health.pushes += 1
                speakers.append(meter.id)
        return list(dict.fromkeys(speakers))

    async def _hear(self, port: Port, told: Told) -> Meter | None:
        """Return who told something, after it was kept as far as it is believed; None for a stranger."""
        meter = self.archive.at(self.bus, told.server, told.logical)
        try:
            title = title_in(told.apdu) if is_ciphered(told.apdu) else b""
            # behind a gateway or a modem the address may be anybody's; what says who it is goes before it
            meter = self.archive.titled(self.bus, title) or meter if title else meter
            if meter is None or await self._repeated(port, meter, told):
                return meter
            if (opened := await self._open(meter, title, told.apdu)) is None:
                return meter
            word = decode_notification(opened.apdu)
        except StoreError:
            raise
        except DcuError as error:
            await self._doubt(meter, error)
            return meter
        speaker = self._named(word) or meter if opened.apdu is told.apdu else meter
        if opened.apdu is told.apdu and self.sessions.access(speaker).ciphered:
            return speaker
        kept = True if opened.again else await self._keep(speaker.id, self._captures(speaker.id, word), opened)
        if kept is not None and isinstance(word, DataNotification) and word.confirmed:
            answer = self._listener.answer(told, opened.seal(confirmation(word))) if kept else b""
            if kept or opened.apdu is not told.apdu:
                self._note(meter, told.apdu, answer, alike=opened.apdu is told.apdu and word.at is None)
            await _send(port, answer)
        return speaker

    def _note(self, meter: Meter, apdu: bytes, answer: bytes, *, alike: bool) -> None:
        """Remember how `apdu` was answered. `alike`: with no time and no counter it may tell of what happened anew."""
        until = self.clock.monotonic() + ANEW if alike else math.inf
        self._repetition.note(meter.id, apdu, answer, until)

    async def _open(self, meter: Meter, title: bytes, apdu: bytes) -> Unsealed | None:
        """Return what `apdu` says, None where it is no notification or nothing says that `meter` sealed it."""
        if is_notification(apdu):
            return plain(apdu)
        if not is_ciphered(apdu) or not self.sessions.can_unseal(meter):
            return None
        # one that no association has proved may be a recorded word of another meter that has the same keys
        known = await self.archive.title(meter.id)
        if known and title not in {b"", known}:
            raise SecurityError(Breach.TITLE, f"system title {title.hex()} is not that of {meter.id}")
        return await self.sessions.unseal(meter, known, apdu) if known else None

    def _named(self, word: Notification) -> Meter | None:
        """Return the meter of this bus that a push names by its serial number or its name, None where it names none."""
        if isinstance(word, EventNotification):
            return None
        return self.archive.called(self.bus, {word_of(each) for each in _elements(word.body)} - {""})

    async def _doubt(self, meter: Meter | None, error: DcuError) -> None:
        self.health.error = str(error)[:200]
        if isinstance(error, SecurityError) and meter is not None:
            await report_breach(self.report, self.health, meter.id, error)

    async def _repeated(self, port: Port, meter: Meter, told: Told) -> bool:
        """Confirm once more what was confirmed of late, if `told` is that; return whether it is."""
        answer = self._repetition.answer(meter.id, told.apdu, self.clock.monotonic())
        await _send(port, answer)
        return answer is not None

    async def _keep(self, meter: str, captures: Sequence[Capture], opened: Unsealed) -> bool | None:
        """Return whether `captures` are in the store, None when they are left out.

        What waits in memory must not be confirmed.
        """
        if not captures or not self._admits(meter):
            return None
        news, sheltered = await self.events.sift(captures), False
        try:
            await self.store.record(news, {}, opened.heard)
        except ShelteredError:
            sheltered = True
        opened.take()
        self.events.kept(news)
        return not sheltered

    def _admits(self, meter: str) -> bool:
        now = self.clock.monotonic()
        began, count = self._rates.get(meter, (now, 0))
        if now - began >= PERIOD:
            began, count = now, 0
        self._rates[meter] = began, count + 1
        return count < BURST

    def _captures(self, meter: str, word: Notification) -> list[Capture]:
        now, trusted = self.clock.now(), self.clock.trusted()
        at, status, doubted = self._moment(meter, word.at)

        def capture(stream: str, value: Value, column: Column) -> Capture:
            said = doubted if stream == PUSH else {}
            values, columns = (value, *said.values()), (column, *said)
            return Capture(meter, stream, at, status, values, columns, now, None, trusted)

        alarms = self.archive.profile(meter).alarms
        register = None if alarms is None else Column(alarms.register.class_id, alarms.register.name)
        if isinstance(word, EventNotification):
            column = Column(word.attribute.class_id, word.attribute.name, word.attribute.index)
            found = [capture(PUSH, cosem.plain(word.value), column)]
            return found + ([capture(ALARM, cosem.plain(word.value), column)] if column == register else [])
        found = [capture(PUSH, cosem.plain(word.body), Column(_PUSH_SETUP, _setup(word.body)))]
        words = [each for each in _elements(word.body) if isinstance(each, BitString)]
        return found + ([capture(ALARM, str(words[0]), register)] if register and len(words) == 1 else [])

    def _moment(self, meter: str, told: DateTime | None) -> tuple[int, int, dict[Column, Value]]:
        """Return when it happened (UTC s), the status of the meter's clock, and the time it told where that is doubted.

        That is one that it calls invalid itself, and one from a clock that has lost the time, as far as ours says so.
        """
        now, at = self.clock.now(), None if told is None else told.utc()
        if told is None or at is None:
            return int(now), NO_STATUS if told is None else told.status, {}
        invalid = told.status != NO_STATUS and bool(told.status & _INVALID)
        if not invalid and not (self.clock.trusted() and lost(at - now)):
            return at, told.status, {}
        clock = self.archive.profile(meter).clock
        return int(now), told.status, {Column(clock.class_id, clock.name, clock.index): told.to_bytes()}


def _elements(body: object) -> list[object]:
    return body if isinstance(body, list) else [body]


def _setup(body: object) -> bytes:
    """Return which push set-up sent `body`, where that says so: 0-b:25.9.e.255 (IEC 62056-6-1)."""
    names = (each for each in _elements(body) if isinstance(each, bytes) and len(each) == len(_PUSHES))
    return next((name for name in names if name[2:4] == _PUSHES[2:4]), _PUSHES)


async def _send(port: Port, answer: bytes | None) -> None:
    if answer:
        await port.write(answer)


async def _read(port: Port, wake: asyncio.Event, pause: float) -> bytes:
    """Return the next octets, none when `pause` s have passed or `wake` was set before. Raises BusError."""
    waking, hearing = asyncio.ensure_future(wake.wait()), asyncio.ensure_future(port.read())
    try:
        await asyncio.wait((waking, hearing), timeout=max(0.0, pause), return_when=asyncio.FIRST_COMPLETED)
        return hearing.result() if hearing.done() else b""
    finally:
        for task in (waking, hearing):
            task.cancel()
            with suppress(asyncio.CancelledError, BusError):
                await task
