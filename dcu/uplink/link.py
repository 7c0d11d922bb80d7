"""The MQTT link to the head-end's broker: connect, publish until acknowledged, receive commands. UplinkError otherwise.

Nothing is kept here: a message is the caller's until `publish` has returned. When to connect again is `deliver`'s.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dcu.config import UplinkSettings
from dcu.config.settings import Endpoint
from dcu.errors import SentAwayError, UplinkError
from dcu.uplink.client import MAX_PACKET_IN, Client, Dismissal, NoConnackError, PubackRefusedError
from dcu.uplink.dial import Route, Spent, unheeded
from dcu.uplink.message import Incoming, Outgoing, RefusedError, UnheardError
from dcu.uplink.tls import Contexts, in_words
from dcu.uplink.topics import Topics

#: Seconds the broker keeps our subscriptions and the commands for us while we are away.
SESSION_EXPIRY = 86_400

#: Seconds for a connection in all, whatever was tried.
CONNECT_TIMEOUT = 40.0

#: Commands the broker may have under way to us without our PUBACK.
RECEIVE_MAXIMUM = 20

#: The slowest line we wait for, octets per second: below a GPRS uplink of 20 kbit/s.
FLOOR_RATE = 1_000

#: Octets of a PUBLISH that are not payload: headers, topic, properties.
PACKET_ROOM = 512

#: Octets of payload that a broker has to take: as few as may be configured. A row that is longer than what it takes
#: could be told of as lost only, and one broker with a wrong limit is no reason for that.
LEAST_PAYLOAD = 1_000

# MQTT 5, 3.2.2.2, and MQTT 3.1.1, 3.2.2.3.
_UNSUPPORTED_VERSION = (132, 1)
# MQTT 5, 3.4.2.1: unspecified, implementation specific, payload format invalid. The others say what we may, or how
# much: not authorized, topic name invalid, quota exceeded.
_FOR_GOOD = (128, 131, 153)
# MQTT 5, 2.4: unavailable, busy, shutting down, session taken over, quota exceeded, connection rate exceeded.
_STAY_AWAY = (136, 137, 139, 142, 151, 159)
_RETAIN_NOT_SUPPORTED = 154
# Use another server, server moved.
_USE_ANOTHER = (156, 157)

#: Brokers that send us on to another, one after the other, before we begin at home again.
MAX_REFERRALS = 3

_PROTOCOLS = {5: aiomqtt.ProtocolVersion.V5, 3: aiomqtt.ProtocolVersion.V311}


def everything(_stream: str) -> bool:
    """No stream has to wait for another channel."""
    return True


class Link:
    """One living connection. `window`, `max_payload`: what may be under way unacknowledged, and octets per message.

    `broker` is who is at the other end; `resumed` says whether it still had our session, `retains` whether it keeps
    retained messages.
    `admits` says whether data of a stream may take it now; `metered`, whether its octets cost money.
    `longest_delay` are the seconds that data may wait for a fuller block at most.
    """

    admits: Callable[[str], bool] = staticmethod(everything)
    metered = False
    longest_delay = math.inf

    def __init__(self, client: Client, settings: UplinkSettings, version: int, *, retain: bool) -> None:
        granted = client.granted
        self.version = "5" if version == 5 else "3.1.1"
        # One less than the broker's Receive Maximum, so that the farewell has room beside a full window.
        self.window = max(1, min(settings.window, granted.receive_maximum - 1))
        self.max_payload = min(settings.max_payload, granted.max_packet - PACKET_ROOM)
        self._max_packet = granted.max_packet
        self.broker = f"{settings.host}:{settings.port}"
        self.resumed = client.resumed
        self.retains = retain and granted.retain
        # what goes beside the window (the state of a meter, the farewell) is counted here too
        self._room = asyncio.Semaphore(granted.receive_maximum)
        self._patience = settings.keepalive
        self._client = client
        self._under_way = 0
        self._pause = 1 / settings.rate if settings.rate else 0.0
        self._turn = 0.0
        self._leaves_will = False

    async def publish(self, message: Outgoing) -> None:
        """Send `message`; returns after its PUBACK (at QoS 0: after the write).

        Messages leave in the order of the calls, no more of them unacknowledged than the broker's Receive Maximum; what
        is urgent passes those that wait for their turn. Raises RefusedError when the broker refuses it, UnheardError
        when nobody has subscribed to what is wanted, UplinkError when the connection is lost or acknowledges nothing in
        its time.
        """
        if self._pause:
            await self._paced(urgent=message.urgent)
        if not message.qos:
            return await self._publish(message)
        async with self._room:
            return await self._publish(message)

    async def _paced(self, *, urgent: bool) -> None:
        """Wait for the next turn where messages are limited; they keep their order, and later ones make up for it."""
        loop = asyncio.get_running_loop()
        self._turn = max(loop.time(), self._turn + self._pause)
        if not urgent:
            await asyncio.sleep(self._turn - loop.time())

    async def _publish(self, message: Outgoing) -> None:
        size = len(message.payload)
        if size > self._max_packet - PACKET_ROOM:  # it would end the connection (MQTT 5, 3.1.2.11.4)
            raise RefusedError(f"{size} octets, of which the broker takes {self._max_packet} in a packet")
        self._under_way += size
        try:
            with _translated(self._client):
                acknowledgement = self._client.send(
                    message.topic,
                    message.payload,
                    qos=message.qos,
                    retain=message.retain and self.retains,
                    properties=_described(message) if self.version == "5" else None,
                )
                async with asyncio.timeout(self._patience + self._under_way / FLOOR_RATE):
                    heard = await acknowledgement
        finally:
            self._under_way -= size
        if message.wanted and not heard:
            raise UnheardError(f"nobody has subscribed to {message.topic}")

    async def subscribe(self, *filters: str) -> None:
        """Subscribe to `filters` at QoS 1 (the broker's session keeps them too, but may have lost them)."""
        with _translated(self._client):
            granted = await self._client.subscribe([(each, 1) for each in filters])
        codes = dict(zip(filters, map(_code, granted), strict=False))
        if refused := [each for each in filters if codes.get(each, 128) >= 128]:
            raise UplinkError(f"the broker refuses the subscription to {', '.join(refused)}")
        if unsafe := [each for each in filters if not codes[each]]:
            raise UplinkError(f"the broker grants QoS 0 only for {', '.join(unsafe)}: what comes there could be lost")

    async def messages(self) -> AsyncGenerator[Incoming, None]:
        """Messages as they come, until UplinkError says that the connection is gone, or that another brings the rest.

        One that is asked for proves that those before are dealt with.
        """
        try:
            async for message in self._client.messages:
                yield Incoming(str(message.topic), bytes(message.payload), message)
                if self._client.left_behind:
                    raise UplinkError("more messages came at once than are taken; the rest comes with a new connection")
        except aiomqtt.MqttError as error:
            raise _kind(self._client)(f"connection lost: {error.__cause__ or error}") from error

    def acknowledge(self, message: Incoming) -> None:
        """Let the broker forget `message`."""
        self._client.acknowledge(message.origin)

    def leave_will(self) -> None:
        """Have the broker publish our last will when we go in order, where the protocol has a word for it (MQTT 5)."""
        self._leaves_will = self.version == "5"

    @property
    def leaves_will(self) -> bool:
        return self._leaves_will

    @property
    def client(self) -> Client:
        """What lies below, for who watches over it."""
        return self._client

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way


class Uplink:
    """The way to the broker of `settings`, always under the same client id, so that there is never a second one.

    Where there are several ways, they share `contexts`; `spent` is that of a `Route`.
    """

    def __init__(
        self, settings: UplinkSettings, dcu: str, contexts: Contexts | None = None, spent: Spent = unheeded
    ) -> None:
        self.settings = settings
        self.route = Route(settings.interface, settings.source, spent)
        self.topics = Topics(settings.prefix, dcu, settings.groups)
        self._identifier = settings.client_id
        self._contexts = contexts or (None if settings.tls is None else Contexts(settings.tls))
        self._unsupported: set[tuple[int, bool]] = set()
        self._elsewhere: Endpoint | None = None
        self._hops = 0

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        """Connect with `will` left at the broker: MQTT 5 when it speaks it, else 3.1.1; retained when it can.

        What a broker could not do, and connected without, is not asked of it again.

        Raises UplinkError when there is no connection to be had. Ends with DISCONNECT, so that the will
        is not sent, unless it is left.
        """
        with _translated():
            async with asyncio.timeout(CONNECT_TIMEOUT):
                client, version, retain = await self._open(will)
        if (lack := client.granted.lack(LEAST_PAYLOAD + PACKET_ROOM)) is not None:
            client.close()
            raise UplinkError(lack)
        link = Link(client, self._here(), version, retain=retain)
        try:
            yield link
        finally:
            client.close(with_will=link.leaves_will)
            self._refer(client.dismissal)

    def _here(self) -> UplinkSettings:
        """Return the settings, with the broker we were referred to."""
        if self._elsewhere is None:
            return self.settings
        host, port = self._elsewhere
        return replace(self.settings, host=host, port=port or self.settings.port)

    def _refer(self, said: Dismissal | None) -> None:
        """Note whither the broker sent us for the next connection; after some who send us on it is home again."""
        self._elsewhere = None
        if self.settings.referral and self._hops < MAX_REFERRALS and said is not None and said.reason in _USE_ANOTHER:
            from dcu.config.channels import endpoint  # noqa: PLC0415 - for brokers that refer to others

            # MQTT 5, 4.11: several are divided by spaces
            self._elsewhere = endpoint((said.reference or "").partition(" ")[0])
        self._hops = self._hops + 1 if self._elsewhere else 0

    async def _open(self, will: Outgoing) -> tuple[Client, int, bool]:
        failure = UplinkError("no protocol version left to try")
        passed: list[tuple[int, bool]] = []
        for version, retain in self._choices():
            if (version, retain) in self._unsupported:
                continue
            client = self._client(will, version, retain=retain)
            try:
                with _translated(client):
                    await client.open()
            except UplinkError as error:
                failure = error
                self._refer(client.dismissal)
                if not self._concedes(error.__cause__, version):
                    break
                passed.append((version, retain))
            else:
                self._unsupported |= set(passed)
                return client, version, retain
        raise failure

    def _choices(self) -> list[tuple[int, bool]]:
        versions = {"auto": (5, 3), "5": (5,), "3": (3,)}[self.settings.mqtt_version]
        retains = (True, False) if self.settings.retain else (False,)
        return [(version, retain) for retain in retains for version in versions]

    def _concedes(self, cause: BaseException | None, version: int) -> bool:
        """Whether another choice may succeed, given why `version` did not."""
        if not isinstance(cause, MqttConnectError):
            return isinstance(cause, NoConnackError)
        code = _code(cause.rc)
        if code in _UNSUPPORTED_VERSION:
            self._unsupported |= {(version, True), (version, False)}
        elif code == _RETAIN_NOT_SUPPORTED:
            self._unsupported |= {(5, True), (3, True)}
        else:
            return False
        return True

    def _client(self, will: Outgoing, version: int, *, retain: bool) -> Client:
        settings = self._here()
        session: dict[str, Any] = {"clean_session": False}
        if version == 5:
            session = {"clean_start": False, "properties": _connect_properties()}
        return Client(
            settings.host,
            settings.port,
            None if self._contexts is None else self._contexts.fresh(),
            self.route,
            identifier=self._identifier,
            username=settings.username,
            password=settings.password,
            protocol=_PROTOCOLS[version],
            keepalive=max(1, round(settings.keepalive)),
            # The window is ours (deliver): nothing may wait inside paho, where nobody sees it.
            max_inflight_messages=0,
            will=aiomqtt.Will(will.topic, will.payload, min(will.qos, settings.max_qos), will.retain and retain),
            **session,
        )


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.SessionExpiryInterval = SESSION_EXPIRY
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = MAX_PACKET_IN
    return properties


def _described(message: Outgoing) -> Properties | None:
    if message.content_type is None and message.expiry is None and message.correlation is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    if message.content_type is not None:
        properties.ContentType = message.content_type
    if message.expiry is not None:
        properties.MessageExpiryInterval = message.expiry
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    return properties


def _code(reason: object) -> int:
    """Number of a reason: paho gives integers for 3.1.1 and objects with a value for 5."""
    return int(getattr(reason, "value", reason))  # type: ignore[call-overload,no-any-return]  # untyped


@contextmanager
def _translated(client: Client | None = None) -> Iterator[None]:
    """Foreign errors become ours, once, here."""
    try:
        yield
    except PubackRefusedError as error:
        raise RefusedError(str(error), for_good=error.code in _FOR_GOOD) from error
    except TimeoutError as error:
        raise UplinkError("the broker does not answer in time") from error
    except OSError as error:
        raise UplinkError(in_words(error)) from error
    except aiomqtt.MqttError as error:
        raise _kind(client)(str(error) or type(error).__name__) from error


def _kind(client: Client | None) -> type[UplinkError]:
    """Return what it is that the connection of `client` came to its end."""
    said = None if client is None else client.dismissal
    return SentAwayError if said is not None and said.reason in _STAY_AWAY else UplinkError
