"""One conversation with one meter: a DLMS association carried over a port.

What is asked is `visit`'s business, who we are and under which keys and counters that of `opening`.

IDLE → open() → ASSOCIATED → get()… → close() → IDLE
                 get()… → rest() → resume() → get()…: an association held over visits, stale when its first get() fails
silence → the link asks again, a bounded number of times; a silence after the last of them, a line error or a refusal
→ the conversation is over; the owner of the port drains it before the next.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dcu.bus import Port
from dcu.config import BusConfig
from dcu.conversation.singles import Singles
from dcu.dlms import association as dlms
from dcu.dlms.acse import Conformance
from dcu.dlms.association import MAX_PDU
from dcu.dlms.link import NEED_DATA, Transmit
from dcu.dlms.notifications import Notification
from dcu.dlms.services import (
    OTHER_REASON,
    AccessError,
    Action,
    Get,
    GetList,
    Read,
    Request,
    Set,
    UnservedError,
    Variable,
)
from dcu.errors import (
    BusError,
    DcuError,
    MeterError,
    MeterTimeoutError,
    NotServedError,
    SecurityError,
    StaleError,
)
from dcu.model import Attribute

if TYPE_CHECKING:
    from dcu.conversation.naming import Naming  # loaded for old meters only

#: Bits on the line per octet at 8N1.
BITS_PER_OCTET = 10

#: The longest a meter may take over one answer, however steadily it drips: 64 KiB of blocks at 1200 Bd.
EXCHANGE_BOUND = 600.0

#: Attributes asked in one GET-WITH-LIST; every meter's request buffer must hold the descriptors.
LIST_BOUND = 20

#: The name of the association itself, which every client may read: as good as a question whether it still lives.
_OWN_NAME = Attribute(15, b"\x00\x00\x28\x00\x00\xff", 1)

#: What a GET-WITH-LIST needs on the line: its head, an item, the item's range of rows; protection comes on top. A meter
#: says how many octets of one request it takes.
REQUEST_OCTETS, ITEM_OCTETS, SELECTION_OCTETS = 8, 11, 52

#: The part of an attribute may be asked of a meter that agreed to one of these: by logical or by short name.
SELECTING = Conformance.SELECTIVE_ACCESS | Conformance.PARAMETERIZED_ACCESS

#: What a meter says unasked is kept up to so much until somebody takes it; the oldest gives way.
MAX_NOTIFIED = 64

#: Silence on the line before a conversation that follows a failed one: a late answer dies here, not in the next.
QUIET = 0.25

#: Good manners at the end of a visit are worth this many seconds, no more: the readings are already in hand.
CLOSE_TIMEOUT = 1.0


def unwatched() -> None:
    """Nobody asks whether the conversation goes on."""


def never() -> bool:
    """Nothing is urgent."""
    return False


class Yielded(Exception):  # noqa: N818 - nobody's fault: what is urgent goes first
    """A `get` stopped for something urgent: `results` answer the first of its items, the others were not answered.

    `open` says whether the conversation goes on; one that was stopped within an answer has been closed.
    """

    def __init__(self, *, open: bool) -> None:  # noqa: A002 - the word for a conversation
        super().__init__("something urgent goes first")
        self.open = open
        self.results: Sequence[Any] = ()


class Session:
    """A conversation over `port`; nobody else uses the port while it lasts. `alive` is told that it goes on.

    `notified` holds what the meter said unasked, oldest first, for whoever takes it out. `naming` knows the short names
    of a meter that has no logical ones, `singles` what it does not treat within a list.
    """

    def __init__(
        self,
        port: Port,
        line: BusConfig,
        association: dlms.Association,
        alive: Callable[[], None] = unwatched,
        naming: "Naming | None" = None,
        singles: tuple[Singles, str] | None = None,
    ) -> None:
        self._port = port
        self._line = line
        self._association = association
        self._alive = alive
        self._naming = naming
        self._singles, self._meter = singles or (Singles(), "")
        #: Octets of items that one GET-WITH-LIST to this meter may hold; 0: it knows no lists.
        self._list_room = 0
        #: Whether the meter takes selections; one that does not gives whole buffers, within the bounds of `axdr`.
        self._selects = False
        self._unasked = False
        self._departed = self._deadline = 0.0
        #: Whether the conversation goes on from an earlier visit; `_doubted` until the meter has shown that it does.
        self.resumed = self._doubted = False
        #: Whether anything was answered since the conversation was opened or gone on with.
        self._served = False
        self._urgent: Callable[[], bool] = never
        self.notified: deque[Notification] = deque(maxlen=MAX_NOTIFIED)
        #: The meter's clock minus monotonic time, and the monotonic time when that was measured: `visit` knows what
        #: it is good for. Whoever sets the clock makes it None.
        self.meter_clock: tuple[float, float] | None = None
        #: The system title that the meter bears in this conversation, b"" where none is told or proved.
        self.title = b""
        self._heard_at: float | None = None
        #: Monotonic time that the first value of the latest `get` describes: half way between the last octet of its
        #: request and the first of its answer, whatever of that is the meter's time and whatever the line's.
        self.asked_at = 0.0

    async def open(self) -> None:
        """Associate; raises MeterTimeoutError, MeterError, SecurityError or BusError."""
        event = await self._exchange(self._association.connect(), dlms.Associated)
        self.title = event.server_title
        self._selects = bool(SELECTING & event.conformance)
        if Conformance.MULTIPLE_REFERENCES in event.conformance:
            self._list_room = (event.max_pdu or MAX_PDU) - REQUEST_OCTETS - self._association.overhead

    def rest(self) -> bool:
        """Whether the conversation may be left open and go on by `resume`; nothing is said."""
        return self._association.rest()

    def resume(self) -> None:
        """Go on after a rest. The first `get` raises StaleError when the meter does not know the association any more.

        A meter that is silent then is not asked again: most likely it says nothing to what it takes for a stranger.
        """
        self.resumed = self._doubted = True
        self._served = False

    def doubt(self) -> None:
        """Take what is remembered of this meter for another's: its clock, and its short names until they hold."""
        self.meter_clock = None
        if self._naming is not None:
            self._naming.doubt()

    async def get(self, items: Sequence[Get], urgent: Callable[[], bool] = never) -> list[Any]:
        """Return one value (or AccessError) per item, in as few requests as the meter allows.

        A meter without selective access gives the whole of what a part was asked of. UnservedError stands for what it
        cannot treat even when that is asked alone. Before each request, block and segment `urgent` is asked whether
        something else goes first: then Yielded is raised. What was answered so far is in the `results` of whatever is
        raised.
        """
        if self._naming is None:
            return await self._get(items, urgent)
        variables = await self._naming.variables(items, self._get)
        try:
            answers = await self._get([each for each in variables if each is not None], urgent)
        except (Yielded, DcuError) as stop:
            stop.results = self._naming.told(variables, stop.results)
            raise
        return self._naming.told(variables, answers)

    async def _get(self, items: Sequence[Get | Variable], urgent: Callable[[], bool] = never) -> list[Any]:
        results: list[Any] = []
        self._unasked, self._urgent = True, urgent
        try:
            for some in self._lists(items if self._selects else [_whole(item) for item in items]):
                await self._ask(some, results)
        except (Yielded, DcuError) as stop:
            stop.results, self._urgent = results, never
            # the meter waits in the middle of its answer, and we have the word
            if isinstance(stop, Yielded) and not stop.open:
                await self.close()
            raise
        finally:
            self._urgent = never
        if self.resumed and results and not self._served:  # a way, too, of saying that there is no association any more
            raise StaleError(str(results[0]))
        return results

    async def perform(self, request: Set | Action, permit: Callable[[], None] = unwatched) -> Any:
        """Return the answer to a SET or ACTION: None, what a method returned, or an AccessError.

        NotServedError when the meter cannot treat it at all, StaleError before it was sent. `permit` is asked when
        nothing but that is left to be done, and raises what keeps it from being sent. After any other error it may have
        been carried out.
        """
        if self._doubted:  # nothing that can be done twice may be what finds the association gone
            with suppress(NotServedError):
                await self._request(Get(_OWN_NAME) if self._naming is None else self._naming.own_name)
        asked = request if self._naming is None else await self._naming.written(request, self._get)
        if isinstance(asked, AccessError):
            return asked
        permit()
        (answer,) = await self._request(asked)
        return answer

    async def _ask(self, some: Sequence[Get | Variable], results: list[Any]) -> None:
        """Ask for `some` at once, or one by one when the meter does not treat them so."""
        if len(some) == 1:
            results.append(await self._alone(some[0]))
            return
        try:
            results += await self._request(_question(some))
        except NotServedError:
            first = len(results)
            for item in some:
                results.append(await self._alone(item))
            self._singles.learned(self._meter, some, results[first:], asyncio.get_running_loop().time())

    async def _alone(self, item: Get | Variable) -> Any:
        try:
            (answer,) = await self._request(_question([item]))
        except NotServedError as error:
            return UnservedError(OTHER_REASON, str(error))
        return answer

    def _lists(self, items: Sequence[Get | Variable]) -> Iterator[list[Get | Variable]]:
        """Cut `items` into what one request may hold; a meter without lists is asked one by one."""
        now = asyncio.get_running_loop().time()
        some: list[Get | Variable] = []
        room = 0
        for item in items:
            size = ITEM_OCTETS + (SELECTION_OCTETS if item.selection else 0)
            # looked up for each anew: the list before may have taught it
            alone = self._singles.alone(self._meter, item, now)
            if some and (alone or room < size or len(some) == LIST_BOUND):
                yield some
                some = []
            if not some:
                room = 0 if alone else self._list_room
            some.append(item)
            room -= size
        if some:
            yield some

    async def close(self) -> None:
        """Release the association and disconnect, as far as the meter still listens."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if farewell := self._association.release():
                    await self._exchange(farewell, dlms.Released)
        except (TimeoutError, DcuError):
            # the next visit starts with a drained line and SNRM, which ends a stale conversation in the meter too
            await self._port.drain(self._line.inter_octet)

    async def _request(self, request: Request) -> list[Any]:
        if self._urgent():
            raise Yielded(open=True)
        event = await self._answer(self._association.send(request))
        self._served = True
        if self._unasked:
            heard = self._departed if self._heard_at is None else max(self._heard_at, self._departed)
            self.asked_at, self._unasked = (self._departed + heard) / 2, False
        return list(event.results)

    async def _answer(self, data: bytes) -> Any:
        try:
            return await self._exchange(data, dlms.Response)
        except (SecurityError, NotServedError):  # it knows us well enough
            raise
        except (MeterError, BusError) as error:
            if self._doubted:
                raise StaleError(str(error)) from error
            raise
        finally:
            self._doubted = False

    async def _exchange(self, data: bytes, until: type[Any]) -> Any:
        """Send `data` and follow the association until an event of type `until`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + EXCHANGE_BOUND
        self._departed, self._heard_at = await self._write(data), None
        asking = True
        while loop.time() < end:
            # a slow meter may take EXCHANGE_BOUND; the watchdog, less patient, must not take that for our hanging
            self._alive()
            event = self._association.next_event()
            if isinstance(event, until):
                return event
            if isinstance(event, Transmit):
                self._doubted = False
                if self._urgent():
                    raise Yielded(open=False)
                left = await self._write(event.data)
                asking = asking and event.asks
                # a request that goes on, or was lost: the meter has it only now
                if asking:
                    self._departed, self._heard_at = left, None
            elif event is NEED_DATA:
                await self._hear()
            elif isinstance(event, dlms.Notified):
                self.notified.append(event.notification)
            else:
                raise MeterError(f"the meter ended the conversation: {event}")
        raise MeterTimeoutError(f"no whole answer within {EXCHANGE_BOUND:.0f} s")

    async def _write(self, data: bytes) -> float:
        """Write, and return when the last octet leaves the line: from then on the answer may take its time-out."""
        await self._port.write(data)
        left = asyncio.get_running_loop().time() + BITS_PER_OCTET * len(data) / self._line.baud
        self._deadline = left + self._line.timeout
        return left

    async def _hear(self) -> None:
        """Take the next octets; when none come in time, ask again as often as the link will."""
        # once the meter has begun to answer, its octets come without a pause or they come no more; our own echo and
        # what others say neither shorten nor prolong its time
        patience = self._deadline - asyncio.get_running_loop().time()
        if self._association.hearing:
            patience = self._line.inter_octet
        try:
            async with asyncio.timeout(patience):
                data = await self._port.read()
        except TimeoutError as error:
            again = self._association.retry()
            if again is None or (again and self._doubted):
                raise MeterTimeoutError(f"silent for {max(patience, self._line.inter_octet):.1f} s") from error
            if again:
                await self._write(again)
        else:
            if self._heard_at is None:
                self._heard_at = asyncio.get_running_loop().time()
            self._association.receive_data(data)


def _whole(item: Get | Variable) -> Get | Variable:
    return Get(item.attribute) if isinstance(item, Get) else Variable(item.name)


def _question(some: Sequence[Get | Variable]) -> Request:
    """Return the one request that asks for `some`, which are all of one kind."""
    gets = tuple(item for item in some if isinstance(item, Get))
    if not gets:
        return Read(tuple(item for item in some if isinstance(item, Variable)))
    return GetList(gets) if len(gets) > 1 else gets[0]
