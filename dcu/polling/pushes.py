"""What meters tell of their own accord: who it was, what of it is believed and kept, who is read at once for it.

Which octets carry it is `dcu.dlms.listening`'s business; when a bus has the time to listen, `poll` knows.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.dlms import cosem
from dcu.dlms.axdr import BitString
from dcu.dlms.listening import Listener, Told
from dcu.dlms.notifications import (
    DataNotification,
    EventNotification,
    Notification,
    confirmation,
    decode_notification,
    is_notification,
)
from dcu.errors import BusError, MeterError, ShelteredError
from dcu.events import EventSieve
from dcu.health import BusHealth
from dcu.model import ALARM, NO_STATUS, PUSH, Access, Capture, Column, Framing, Meter, Value

#: The longest that a line is listened to at a stretch, in seconds, and the reads from it: a visit may be due.
LISTEN_BOUND: Final = 10.0
MAX_READS: Final = 64

#: Pushes of one meter that are kept within PERIOD seconds. A meter that says more is read all the same.
BURST: Final = 8
PERIOD: Final = 60.0

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
    """The unasked words of one bus. `access` are the ways to open meters, by name."""

    bus: str
    framing: Framing
    archive: Archive
    access: Mapping[str, Access]
    events: EventSieve
    store: Keeping
    clock: Clock
    health: BusHealth
    _rates: dict[str, tuple[float, int]] = field(default_factory=dict)
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

    async def of_visit(self, meter: str, said: Iterable[Notification]) -> None:
        """Keep what a meter `said` within a conversation whose protection it has passed. Raises StoreError."""
        captures = [capture for word in said for capture in self._captures(meter, word)]
        await self._keep(meter, captures)

    async def _take(self, port: Port, told: Iterable[Told]) -> list[str]:
        speakers = []
        for each in told:
            meter = self.archive.at(self.bus, each.server)
            if meter is None:
                self.health.strangers += 1
                continue
            self.health.pushes += 1
            speakers.append(meter.id)
            # what is not protected as this meter's words are is not believed; the meter is asked instead
            if not self.access[meter.access].ciphered and is_notification(each.apdu):
                await self._believe(port, meter, each)
        return list(dict.fromkeys(speakers))

    async def _believe(self, port: Port, meter: Meter, told: Told) -> None:
        try:
            word = decode_notification(told.apdu)
        except MeterError as error:
            self.health.error = str(error)[:200]
            return
        kept = await self._keep(meter.id, self._captures(meter.id, word))
        if kept and isinstance(word, DataNotification) and word.confirmed:  # memory is no place to confirm from
            await port.write(self._listener.answer(told, confirmation(word)))

    async def _keep(self, meter: str, captures: Sequence[Capture]) -> bool:
        """Return whether none of `captures` waits in memory for a store that fails."""
        if not captures or not self._admits(meter):
            return True
        news, sheltered = await self.events.sift(captures), False
        try:
            await self.store.record(news, {}, {})
        except ShelteredError:
            sheltered = True
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
        now = self.clock.now()
        said_at = word.at.utc() if word.at is not None else None
        at = int(now) if said_at is None else said_at
        trusted = self.clock.trusted()

        def capture(stream: str, value: Value, column: Column) -> Capture:
            return Capture(meter, stream, at, NO_STATUS, (value,), (column,), now, None, trusted)

        alarms = self.archive.profile(meter).alarms
        register = None if alarms is None else Column(alarms.register.class_id, alarms.register.name)
        if isinstance(word, EventNotification):
            column = Column(word.attribute.class_id, word.attribute.name, word.attribute.index)
            found = [capture(PUSH, cosem.plain(word.value), column)]
            return found + ([capture(ALARM, cosem.plain(word.value), column)] if column == register else [])
        found = [capture(PUSH, cosem.plain(word.body), Column(_PUSH_SETUP, _setup(word.body)))]
        words = [each for each in _elements(word.body) if isinstance(each, BitString)]
        return found + ([capture(ALARM, str(words[0]), register)] if register and len(words) == 1 else [])


def _elements(body: object) -> list[object]:
    return body if isinstance(body, list) else [body]


def _setup(body: object) -> bytes:
    """Return which push set-up sent `body`, where that says so: 0-b:25.9.e.255 (IEC 62056-6-1)."""
    names = (each for each in _elements(body) if isinstance(each, bytes) and len(each) == len(_PUSHES))
    return next((name for name in names if name[2:4] == _PUSHES[2:4]), _PUSHES)


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
