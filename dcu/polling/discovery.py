"""Looking for meters on one bus while it is idle: who answers at addresses that nobody has, and what it says it is.

An address is asked with one SNRM (one association, where there is no HDLC), which costs a time-out when nobody is
there.
That takes a small share of the bus and only where no visit is due meanwhile; `poll` says when.

    sweep due, or asked for ──► each address in turn ──silent──► the next one
                                        └──answers──► opened, identified ──kept, told──► proposed, or added
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Protocol

import structlog

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.config import BusConfig
from dcu.config.settings import DiscoverSettings
from dcu.conversation.opening import SessionMaker, make_link
from dcu.conversation.recognition import word_of
from dcu.conversation.session import BITS_PER_OCTET
from dcu.dlms.link import NEED_DATA, LinkOpened
from dcu.dlms.services import AccessError, Get
from dcu.errors import CommandRejected, ConfigError, MeterError, MeterTimeoutError, RefusedError, SecurityError
from dcu.health import BusHealth
from dcu.model import Access, Attribute, Framing, Meter
from dcu.report import Report
from dcu.store import Station

log = structlog.get_logger()

#: The most of a bus's time that questions to addresses where nobody may be can take, unless somebody asked for them.
SHARE: Final = 0.05

#: Seconds a question takes besides the time-out: its octets at 1200 Bd, and the silence before the next visit.
MARGIN: Final = 1.0

#: What a station is asked, class 1, by the word its answer is kept under (IEC 62056-6-2, abstract objects; the third
#: is the device ID of meters that have no serial number at the first place).
_DATA: Final = 1
IDENTITY: Final = {
    "device": bytes((0, 0, 42, 0, 0, 255)),
    "serial": bytes((0, 0, 96, 1, 0, 255)),
    "firmware": bytes((1, 0, 0, 2, 0, 255)),
}

#: Letters at the beginning of a logical device name that say who made it (IEC 62056-5-3, FLAG).
MAKER: Final = 3

#: Who asks an address whether anybody is there.
_PUBLIC: Final = Access("public")

#: What may name a meter: it stands in topics and files.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

#: Where the line of a station that was added comes from.
DISCOVERY: Final = "discovery"

#: Adds a station as a meter. Raises CommandRejected with the reason why not, and StoreError.
Enrol = Callable[[Sequence[Meter], str], Awaitable[None]]


class StationStore(Protocol):
    """Where stations outlive a restart; both raise StoreError."""

    async def meet(self, station: Station) -> None: ...

    async def stations(self) -> list[Station]: ...


@dataclass(slots=True)
class Discovery:
    """The search on one bus; `enrol` adds what was found where the configuration says so."""

    bus: BusConfig
    settings: DiscoverSettings
    archive: Archive
    sessions: SessionMaker
    store: StationStore
    clock: Clock
    health: BusHealth
    report: Report
    enrol: Enrol
    _left: deque[int] = field(default_factory=deque)
    _next_sweep: float = 0.0
    _rest_until: float = 0.0
    _asked_for: bool = False

    def start(self) -> int:
        """Begin a sweep now that takes all the idle time there is; return how many addresses it has."""
        self._asked_for = True
        self._begin()
        return len(self._left)

    def progress(self) -> dict[str, int]:
        """Return how far the search is: addresses left, and since the start, asked and found."""
        health = self.health
        return {"left": health.probing, "probes": health.probes, "found": health.found}

    def _begin(self) -> None:
        self._left = deque(chain.from_iterable(self.settings.addresses))
        self._next_sweep = self.clock.monotonic() + self.settings.every
        self.health.probing = len(self._left)

    def wants(self, now: float, until: float | None) -> bool:
        """Whether the next address is to be asked at `now`; the bus is idle `until` then (None: for ever)."""
        if not self._left and now >= self._next_sweep:
            self._begin()
        cost = self.bus.timeout + MARGIN
        return bool(self._left) and now >= self._rest_until and (until is None or until - now > cost)

    async def step(self, port: Port, alive: Callable[[], None]) -> bool:
        """Ask the next address; return whether it was one that nobody has. Raises BusError and StoreError.

        Whoever answers is identified and kept.
        """
        address = self._left.popleft()
        self.health.probing = len(self._left)
        unknown = self.archive.at(self.bus.name, address) is None
        if unknown:
            began = self.clock.monotonic()
            await self._look(address, port, alive)
            took = self.clock.monotonic() - began
            self._rest_until = 0.0 if self._asked_for else self.clock.monotonic() + took * (1 / SHARE - 1)
        self._asked_for = self._asked_for and bool(self._left)
        return unknown

    async def _look(self, address: int, port: Port, alive: Callable[[], None]) -> None:
        self.health.probes += 1
        meter = Meter("", self.bus.name, address, self.settings.access, "")
        if self.bus.framing is Framing.HDLC and not await self._answers(meter, port):
            return
        try:
            facts = await self._identify(meter, port, alive)
        except MeterTimeoutError as error:
            if self.bus.framing is Framing.WRAPPER:
                return
            facts = {"problem": str(error)}
        except (RefusedError, SecurityError) as error:
            facts = {"problem": f"does not let us in as {self.settings.access}: {error}"}
        except (MeterError, ConfigError) as error:  # secrets that do not fit cost this station alone
            facts = {"problem": str(error)}
        await self._found(address, facts)

    async def _answers(self, meter: Meter, port: Port) -> bool:
        """Whether a station accepts a connection at the address of `meter`; it is broken off at once."""
        link = make_link(self.bus, meter, _PUBLIC)
        question = link.open()
        await port.write(question)
        patience = self.bus.timeout + BITS_PER_OCTET * len(question) / self.bus.baud
        try:
            async with asyncio.timeout(patience):
                while (event := link.next_event()) is NEED_DATA:
                    link.receive_data(await port.read())
        except TimeoutError:
            return False
        except MeterError:  # its parameters make no sense: somebody is there
            return True
        if isinstance(event, LinkOpened):
            await port.write(link.close())
            await port.drain(self.bus.inter_octet)
            return True
        return False

    async def _identify(self, meter: Meter, port: Port, alive: Callable[[], None]) -> dict[str, str]:
        """Return what a station says of itself, by word."""
        if self.sessions.lacks_keys(meter):
            return {"problem": f"the keys file has no default keys for the access {self.settings.access}"}
        session = await self.sessions.open(port, meter, alive)
        answers = await session.get([Get(Attribute(_DATA, name)) for name in IDENTITY.values()])
        await session.close()
        said = zip(IDENTITY, answers, strict=True)
        facts = {word: word_of(answer) for word, answer in said if not isinstance(answer, AccessError)}
        if device := facts.get("device"):
            facts["maker"] = device[:MAKER]
        return facts | {"profile": self.settings.profile_of(facts.get("device", ""))}

    async def _found(self, address: int, facts: dict[str, str]) -> None:
        known = {(each.bus, each.address): each.facts for each in await self.store.stations()}
        news = known.get((self.bus.name, address)) != facts
        if self.settings.add and "profile" in facts:
            facts = await self._add(address, facts)
        if facts.get("meter") is None:
            await self.store.meet(Station(self.bus.name, address, facts, self.clock.now()))
        if news:
            self.health.found += 1
            log.info("meter found", bus=self.bus.name, address=address, **facts)
            await self.report("meter found", bus=self.bus.name, address=address, **facts)

    async def _add(self, address: int, facts: dict[str, str]) -> dict[str, str]:
        """Add a station under the name it has; return `facts` with that name, or with why it was not added."""
        serial = facts.get("serial", "")
        name = next(filter(_NAME.fullmatch, (facts.get("device", ""), serial)), f"{self.bus.name}-{address}")
        meter = Meter(name, self.bus.name, address, self.settings.access, facts["profile"], serial=serial)
        try:
            await self.enrol([meter], DISCOVERY)
        except CommandRejected as rejection:
            return facts | {"problem": rejection.reason}
        return facts | {"meter": name}
