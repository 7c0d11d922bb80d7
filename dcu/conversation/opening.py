"""How a conversation with a meter is opened: the link to it, who we are there, and under which keys and counters.

The conversation itself is in `session`; which keys there are in `keychange`, counters in `invocations`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dcu.bus import Port
from dcu.config import BusConfig
from dcu.config.needed import needed_keys
from dcu.conversation.invocations import Invocations
from dcu.conversation.keychange import KeyChanges
from dcu.conversation.session import Session, unwatched
from dcu.conversation.singles import Singles
from dcu.dlms.association import Association
from dcu.dlms.hdlc import Parameters, ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import Link
from dcu.dlms.security import Heard
from dcu.dlms.services import Get
from dcu.dlms.wrapper import WrapperLink
from dcu.errors import Breach, MeterError, RefusedError, SecurityError
from dcu.model import Access, Attribute, Authentication, Framing, Keys, Meter, Referencing

if TYPE_CHECKING:
    from dcu.conversation.naming import BaseNames, DescriptorStore  # loaded for old meters only
    from dcu.conversation.unasked import Unsealed

T = TypeVar("T")


def make_link(bus: BusConfig, meter: Meter, access: Access) -> Link:
    """Return the lower layer that reaches `meter` on its bus."""
    if bus.framing is Framing.WRAPPER:
        return WrapperLink(access.client, meter.address)
    offer = Parameters(bus.max_info, bus.max_info, bus.window, bus.window)
    if bus.address_size == 1:  # one octet has no room for a physical part: it names the device itself
        return HdlcLink(access.client, ServerAddress(meter.address, size=1), offer)
    return HdlcLink(access.client, ServerAddress(meter.logical_device, meter.address, bus.address_size), offer)


def _uncounted() -> int:
    raise AssertionError("an access without keys takes no counters")


#: Keys of ours that are nobody else's.
_PRIVATE_KEYS = {"signing_key", "agreement_key"}

#: A meter that asks for no secret has none.
NO_KEYS = Keys()

#: Who may read a meter's invocation counter without any secret.
PUBLIC = {each: Access("public", referencing=each) for each in Referencing}
DATA = 1

#: A meter may say nothing to a counter that it does not accept, as one does that is not there. After so many visits in
#: a row that it let fail without a word of refusal, and whenever they are twice as many, the public client asks. A
#: power of two.
SILENT = 4


class SessionMaker:
    """Makes the conversations of one bus: knows who we are there, each meter's keys and counters.

    `changes` knows the keys that are not, or soon not, those in `keys`; without it they never change. Without `names` a
    meter that has short names is asked for its base names in each conversation.
    """

    def __init__(
        self,
        bus: BusConfig,
        access: Mapping[str, Access],
        keys: Mapping[str, Keys],
        title: bytes,
        invocations: Invocations,
        *,
        changes: KeyChanges | None = None,
        names: "BaseNames | None" = None,
    ) -> None:
        self._bus = bus
        self._access = access
        self._keys = keys
        self._title = title
        self._invocations = invocations
        self._changes = changes
        self._names = names
        self._news: dict[str, int] = {}
        # the number of the last request to each meter, which an answer that comes one question late would have
        self._invokes: dict[str, int] = {}
        # how often in a row a meter that counts has neither let us in nor refused us
        self._silences: dict[str, int] = {}
        self._singles = Singles()

    async def make(self, port: Port, meter: Meter, alive: Callable[[], None] = unwatched) -> Session:
        """Return a Session for `meter`, not yet opened; raises StoreError when no counters can be reserved."""
        return await self._make(port, meter, self._candidates(meter)[0], alive)

    async def open(self, port: Port, meter: Meter, alive: Callable[[], None] = unwatched) -> Session:
        """Return an open Session. A meter that refuses us may have heard a higher counter: then ours goes above it.

        While new secrets are on their way to it, each set is tried, and the one that opens decides. Raises what `make`
        and `Session.open` raise, SecurityError when neither set opens, ConfigError when they cannot be unsealed.
        """
        return await self._settled(port, meter, lambda keys: self._open(port, meter, keys, alive))

    async def believe(
        self,
        port: Port,
        meter: Meter,
        admit: Callable[[Session], Awaitable[None]],
        alive: Callable[[], None] = unwatched,
    ) -> tuple[int, int]:
        """Take the counter that `meter` uses now for its last one, also a lower one; return the one before, and it.

        Only for a ciphered access with a challenge of ours in it: no answer recorded before can answer that one. Raises
        what `open` raises, and `admit`, which is asked before anything is believed.
        """

        async def work(keys: Keys) -> tuple[int, int]:
            heard: dict[bytes, int] = {}
            session = await self._open(port, meter, keys, alive, heard)
            ((title, counter),) = heard.items()
            try:
                await admit(session)
                before = await self._invocations.believe(keys, title, counter, self._news)
            finally:
                await session.close()
            return before, counter

        return await self._settled(port, meter, work)

    async def _settled(self, port: Port, meter: Meter, work: Callable[[Keys], Awaitable[T]]) -> T:
        """Return what `work` returns under the secrets that open `meter`, after it is kept which they are."""
        candidates = self._candidates(meter)
        if self._changes is None or len(candidates) == 1:
            return await work(candidates[0])
        failures: list[MeterError] = []
        for keys in candidates:
            try:
                done = await work(keys)
            except MeterError as error:
                failures.append(error)
                await port.drain(self._bus.inter_octet)
            else:
                await self._changes.opened(meter.id, keys)
                return done
        for failure in failures:
            if not isinstance(failure, RefusedError | SecurityError):  # the line's fault, or another has the meter
                raise failure
        raise SecurityError(Breach.KEY, f"opens under neither set of secrets: {failures[0]}; {failures[1]}")

    async def _open(
        self, port: Port, meter: Meter, keys: Keys, alive: Callable[[], None], heard: Heard | None = None
    ) -> Session:
        access = self._access[meter.access]
        session = await self._make(port, meter, keys, alive, heard)
        try:
            await session.open()
        except MeterError as error:
            if not (_counts(access) and self._may_count_higher(meter.id, error)):
                raise
            await session.close()  # a meter may have room for one connection, whoever has it
            if not await self._recover(port, meter, keys, alive):
                raise
            session = await self._make(port, meter, keys, alive, heard)
            await session.open()
        if _counts(access):
            self._silences.pop(meter.id, None)
            self._invocations.agreed(keys, self._title)
        return session

    def _may_count_higher(self, meter: str, error: MeterError) -> bool:
        """Whether to ask `meter`, which did not let us in for `error`, if it is for a counter too low."""
        if isinstance(error, RefusedError | SecurityError):
            return isinstance(error, RefusedError)
        self._silences[meter] = times = self._silences.get(meter, 0) + 1
        return times >= SILENT and times.bit_count() == 1

    def forget(self, meter: str) -> None:
        """Another device may come under this name: what was shown of its short names is in doubt."""
        if self._names is not None:
            self._names.doubt(meter)

    async def prepare(self, meter: Meter) -> None:
        """See to it that a session held with `meter` finds counters enough for a visit; raises StoreError."""
        if _counts(self._access[meter.access]):
            await self._invocations.prepare(self._candidates(meter)[0], self._title, self._news)

    def access(self, meter: Meter) -> Access:
        """Return how we are let in at `meter`."""
        return self._access[meter.access]

    def lacks_keys(self, meter: Meter) -> bool:
        """Whether nobody has told the keys without which `meter` cannot be asked to let us in."""
        access = self._access[meter.access]
        private = _PRIVATE_KEYS & needed_keys(access).keys()
        if private and not all(getattr(self._candidates(meter)[0], name) for name in private):
            return True
        return _counts(access) and not self.can_unseal(meter)

    def can_unseal(self, meter: Meter) -> bool:
        """Whether the keys are known under which `meter` may seal what it says."""
        keys = self._candidates(meter)[0]
        return bool(keys.encryption_key and keys.authentication_key)

    async def unseal(self, meter: Meter, title: bytes, apdu: bytes) -> "Unsealed":
        """Return what `meter`, which bears the system `title`, said in `apdu` outside of any association.

        SecurityError unless it opens under the meter's keys, with a counter above all that the meter has used. What
        `Invocations.prepare` raises, ConfigError when the keys cannot be unsealed or do not fit.
        """
        from dcu.conversation.unasked import unsealed  # noqa: PLC0415 - for buses whose meters may speak

        ciphers = []
        for keys in self._candidates(meter):
            ledger = await self._invocations.prepare(keys, self._title, self._news)
            ciphers.append((keys, ledger))
        return unsealed(apdu, title, ciphers, self._title, self._access[meter.access].suite)

    @property
    def changes(self) -> KeyChanges | None:
        """What is known of changes of keys; None where keys never change."""
        return self._changes

    def heard(self) -> Mapping[str, int]:
        """Return the counters that the meters of this bus used since the last call, by name: to be stored."""
        # emptied in place: an association that is still open goes on filling it
        news = dict(self._news)
        self._news.clear()
        return news

    async def _recover(self, port: Port, meter: Meter, keys: Keys, alive: Callable[[], None]) -> bool:
        """Ask the meter through the public client which counter it heard last; whether ours has moved."""
        session = self._session(port, meter, PUBLIC[self._access[meter.access].referencing], NO_KEYS, alive)
        try:
            await session.open()
            (counter,) = await session.get([Get(Attribute(DATA, self._access[meter.access].invocation_counter))])
        except MeterError:
            counter = None  # the refusal itself is what the caller reports
        await session.close()
        return type(counter) is int and await self._invocations.jump(keys, self._title, counter)

    def _take_invoke(self, meter: str) -> int:
        """Return the number of the next request to a meter, whatever association it is made over."""
        number = self._invokes.get(meter, 0) + 1 & 0x0F
        self._invokes[meter] = number
        return number

    def _candidates(self, meter: Meter) -> tuple[Keys, ...]:
        return self._changes.candidates(meter.id) if self._changes else (self._keys.get(meter.id, NO_KEYS),)

    async def _make(
        self, port: Port, meter: Meter, keys: Keys, alive: Callable[[], None], heard: Heard | None = None
    ) -> Session:
        """Return a session under `keys`; `heard` remembers the meter's counters in place of us."""
        access = self._access[meter.access]
        if not _counts(access):
            return self._session(port, meter, access, keys, alive)
        ledger = await self._invocations.prepare(keys, self._title, self._news)
        return self._session(port, meter, access, keys, alive, ledger.take, ledger if heard is None else heard)

    def _session(
        self,
        port: Port,
        meter: Meter,
        access: Access,
        keys: Keys,
        alive: Callable[[], None],
        take_counter: Callable[[], int] = _uncounted,
        heard: Heard | None = None,
    ) -> Session:
        link = make_link(self._bus, meter, access)
        association = Association(link, access, keys, client_title=self._title, take_counter=take_counter, heard=heard)
        association.take_invoke = partial(self._take_invoke, meter.id)
        if access.referencing is Referencing.LN:
            return Session(port, self._bus, association, alive, singles=(self._singles, meter.id))
        from dcu.conversation.naming import Naming  # noqa: PLC0415 - for old meters only

        # what the public client is told may not be all there is: never kept
        known = None if access is PUBLIC[Referencing.SN] else self._names
        return Session(port, self._bus, association, alive, Naming(meter.id, known), (self._singles, meter.id))


def _counts(access: Access) -> bool:
    """Whether an access uses invocation counters."""
    return access.ciphered or access.authentication is Authentication.HLS_GMAC


def base_names(access: Iterable[Access], descriptors: "DescriptorStore") -> "BaseNames | None":
    """Return where base names are kept, None when no access uses any."""
    if all(each.referencing is Referencing.LN for each in access):
        return None
    from dcu.conversation.naming import BaseNames  # noqa: PLC0415 - for old meters only

    return BaseNames(descriptors)
