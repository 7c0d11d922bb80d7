"""One conversation with one meter: a DLMS association carried over a port. What is asked is `dcu.visit`'s business.

IDLE → open() → ASSOCIATED → get()… → close() → IDLE
any time-out, line error or refusal → the conversation is over; the owner of the port drains it before the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from dcu.bus import Port
from dcu.config import BusConfig
from dcu.dlms import association as dlms
from dcu.dlms.acse import Conformance
from dcu.dlms.hdlc import HdlcLink, ServerAddress
from dcu.dlms.link import Link
from dcu.dlms.wrapper import WrapperLink
from dcu.errors import DcuError, MeterError, MeterTimeoutError
from dcu.model import Access, Framing, Keys, Meter

#: Bits on the line per octet at 8N1.
BITS_PER_OCTET = 10

#: The longest a meter may take over one answer, however steadily it drips: 64 KiB of blocks at 1200 Bd.
EXCHANGE_BOUND = 600.0

#: Attributes asked in one GET-WITH-LIST; every meter's request buffer must hold the descriptors.
LIST_BOUND = 20

#: Good manners at the end of a visit are worth this many seconds, no more: the readings are already in hand.
CLOSE_TIMEOUT = 1.0


def make_link(framing: Framing, meter: Meter, access: Access) -> Link:
    """Return the lower layer that reaches `meter` on its bus."""
    if framing is Framing.WRAPPER:
        return WrapperLink(access.client, meter.address)
    return HdlcLink(access.client, ServerAddress(meter.logical_device, meter.address))


class Session:
    """A conversation over `port`; nobody else uses the port while it lasts.

    `timeout` is the silence in seconds that ends it, beyond the time our own octets need at `baud`.
    """

    def __init__(
        self, port: Port, link: Link, access: Access, keys: Keys, *, baud: int, timeout: float, **identity: Any
    ) -> None:
        self._port = port
        self._baud = baud
        self._timeout = timeout
        self._association = dlms.Association(link, access, keys, **identity)
        self._conformance = Conformance(0)
        #: Monotonic time when the last octet of the latest request left: the instant the meter's answer describes.
        self.asked_at = 0.0

    async def open(self) -> None:
        """Associate; raises MeterTimeoutError, MeterError, SecurityError or BusError."""
        event = await self._exchange(self._association.connect(), dlms.Associated)
        self._conformance = event.conformance

    async def get(self, items: Sequence[dlms.Get]) -> list[Any]:
        """Return one value (or AccessError) per item, in as few requests as the meter allows."""
        if len(items) == 1 or Conformance.MULTIPLE_REFERENCES not in self._conformance:
            return [(await self._request(item))[0] for item in items]
        results: list[Any] = []
        for start in range(0, len(items), LIST_BOUND):
            results += await self._request(dlms.GetList(tuple(items[start : start + LIST_BOUND])))
        return results

    async def close(self) -> None:
        """Release the association and disconnect, as far as the meter still listens."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._exchange(self._association.release(), dlms.Released)
        except (TimeoutError, DcuError):
            # the next visit starts with a drained line and SNRM, which ends a stale conversation in the meter too
            await self._port.drain(self._timeout / 10)

    async def _request(self, request: dlms.Request) -> list[Any]:
        event = await self._exchange(self._association.send(request), dlms.Response)
        return list(event.results)

    async def _exchange(self, data: bytes, until: type[Any]) -> Any:
        """Send `data` and follow the association until an event of type `until`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + EXCHANGE_BOUND
        patience = await self._write(data)
        while loop.time() < end:
            event = self._association.next_event()
            if isinstance(event, until):
                return event
            if isinstance(event, dlms.Transmit):
                patience = await self._write(event.data)
            elif event is dlms.NEED_DATA:
                await self._hear(patience)
            else:
                raise MeterError(f"the meter ended the conversation: {event}")
        raise MeterTimeoutError(f"no whole answer within {EXCHANGE_BOUND:.0f} s")

    async def _write(self, data: bytes) -> float:
        """Write and return how long the answer's first octet may take: our own octets leave at line speed first."""
        await self._port.write(data)
        return self._timeout + BITS_PER_OCTET * len(data) / self._baud

    async def _hear(self, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                data = await self._port.read()
        except TimeoutError as error:
            raise MeterTimeoutError(f"silent for {patience:.1f} s") from error
        self._association.receive_data(data)


#: Counters fetched from the store at a time, and the fewest a visit may start with: a visit of 256 requests is hostile.
COUNTER_BLOCK = 1024
COUNTER_RESERVE = 256


class SessionMaker:
    """Makes the conversations of one bus: knows who we are there, each meter's keys, and hands out counters.

    Invocation counters come from `reserve`, which commits a block before it returns it, so that a crash skips
    counters and never repeats one (IEC 62056-5-3, 5.3.3.3.1: the initialization vector must be unique per key).
    """

    def __init__(
        self,
        bus: BusConfig,
        access: Mapping[str, Access],
        keys: Mapping[str, Keys],
        title: bytes,
        reserve: Callable[[str, int], Awaitable[range]],
    ) -> None:
        self._bus = bus
        self._access = access
        self._keys = keys
        self._title = title
        self._reserve = reserve
        self._counters: dict[str, Iterator[int]] = {}
        self._left: dict[str, int] = {}

    async def make(self, port: Port, meter: Meter) -> Session:
        """Return a Session for `meter`, not yet opened; raises StoreError when no counters can be reserved."""
        access = self._access[meter.access]
        if access.authentication.ciphers or access.ciphered:
            await self._refill(meter.id)
        return Session(
            port,
            make_link(self._bus.framing, meter, access),
            access,
            self._keys[meter.id],
            baud=self._bus.baud,
            timeout=self._bus.timeout,
            client_title=self._title,
            take_counter=partial(self._take, meter.id),
        )

    async def _refill(self, meter: str) -> None:
        if self._left.get(meter, 0) < COUNTER_RESERVE:
            self._counters[meter] = iter(await self._reserve(meter, COUNTER_BLOCK))
            self._left[meter] = COUNTER_BLOCK

    def _take(self, meter: str) -> int:
        if not self._left.get(meter):
            raise MeterError("the visit used up its reserved invocation counters")
        self._left[meter] -= 1
        return next(self._counters[meter])
