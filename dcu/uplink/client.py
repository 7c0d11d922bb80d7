"""aiomqtt's client with what the durability of this project needs and it leaves out.

Added: the reason in a PUBACK, waking up every waiter when the connection goes, commands acknowledged by us instead of
by the library, a connecting that can be cancelled, a close that never waits. Settings and error words are in `link`.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from dcu.uplink.dial import ANY_ROUTE, DIAL_TIMEOUT, Route, dial
from dcu.uplink.tls import TellingSocket, in_words

#: Largest packet accepted from the broker; the longest command envelope fits twice.
MAX_PACKET_IN = 262_144

#: Octets of a message that is too long and read away; one that is longer ends the connection.
MAX_PASSED_OVER = 16_777_216

#: Octets read from the socket at once.
PIECE = 65_536

#: Received messages waiting for their turn. A message beyond is passed over and not acknowledged: a broker keeps it,
#: and sends it again over the next connection only (MQTT 3.1.1, 4.4; by MQTT 5 it has no more under way than we allow).
MAX_QUEUED_IN = 100


Result = TypeVar("Result")

#: The broker has the message, and nobody to give it to (MQTT 5, 3.4.2.1).
_NO_SUBSCRIBERS = 0x10


class NoConnackError(aiomqtt.MqttError):
    """The broker hung up or kept silent at CONNECT; many do so with a protocol version they do not know."""


class PubackRefusedError(aiomqtt.MqttError):
    """The broker does not have the message: a PUBACK with a failure code (MQTT 5, 3.4.2.1), or it could not leave."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Granted:
    """What the broker said it takes, in its CONNACK (MQTT 5, 3.2.2.3); the defaults are those of the standard."""

    receive_maximum: int = 65_535
    max_qos: int = 2
    retain: bool = True
    max_packet: int = 268_435_455

    def lack(self, packet: int) -> str | None:
        """Say why this broker cannot be used for packets of at most `packet` octets; None: it can."""
        if not self.max_qos:
            return "the broker takes QoS 0 only: nothing would be acknowledged"
        if self.max_packet < packet:
            return f"the broker takes packets of {self.max_packet} octets, which is too little"
        return None


@dataclass(frozen=True, slots=True)
class Dismissal:
    """What the broker said when it sent us away: a reason (MQTT 5, 2.4) and perhaps which other to use (4.11)."""

    reason: int
    reference: str | None = None


class Client(aiomqtt.Client):
    """One connection; made anew for each, so that no message survives in paho's queues."""

    def __init__(
        self, hostname: str, port: int, context: ssl.SSLContext | None, route: Route = ANY_ROUTE, **settings: Any
    ) -> None:
        super().__init__(hostname, port, timeout=DIAL_TIMEOUT, max_queued_incoming_messages=MAX_QUEUED_IN, **settings)
        self._context = context
        self._route = route
        self._dialled: socket.socket | None = None
        self._stands = False
        self.granted = Granted()
        self.resumed = False
        self.dismissal: Dismissal | None = None
        self._acknowledgements: dict[int, asyncio.Future[bool]] = {}
        self._passed_over = False
        self._client.manual_ack_set(True)
        self._received: Callable[[int], bytes] = self._client._sock_recv  # noqa: SLF001 - nowhere public
        vars(self._client)["_sock_recv"] = self._receive
        self._disconnected.add_done_callback(self._lost)

    async def open(self) -> None:
        """Connect. Raises OSError or MqttError; leaves nothing behind, also when cancelled."""
        line = await dial(self._hostname, self._port, self._context, self._route)
        self._dialled = line
        vars(self._client)["_create_socket"] = lambda: line
        try:
            await self.__aenter__()
            self._require_socket()
            self._stands = True
        except BaseException as error:
            silent = type(error) is aiomqtt.MqttError and self._client.socket() is not None
            self._connected.cancel()
            self.close()
            line.close()
            if silent:
                raise NoConnackError("no CONNACK in time") from error
            raise

    def _refusal(self) -> aiomqtt.MqttError:
        """Return why there was no CONNACK; with TLS 1.3 our certificate is refused as late as that."""
        if isinstance(self._dialled, TellingSocket) and self._dialled.failure is not None:
            return aiomqtt.MqttError(in_words(self._dialled.failure))
        return NoConnackError("connection closed before CONNACK")

    def _require_socket(self) -> None:
        if self._client.socket() is None:
            raise aiomqtt.MqttError("connection lost right after CONNACK")

    def close(self, *, with_will: bool = False) -> None:
        """Say DISCONNECT if the socket takes it at once, and drop the connection; `with_will` of MQTT 5 (3.14.2.1)."""
        self._client.disconnect(_with_will() if with_will else None)
        self._client.loop_write()
        self._client._sock_close()  # noqa: SLF001 - paho has no public way to drop a socket that takes no more

    @property
    def line(self) -> socket.socket | None:
        """The socket, None when there is none any more."""
        line = self._client.socket()
        return line if isinstance(line, socket.socket) else None

    def ping(self) -> None:
        """Ask the broker for a sign of life (PINGREQ), beside the pings of MQTT's keepalive."""
        self._client._send_pingreq()  # noqa: SLF001 - paho's own pings follow one period for both directions

    def end(self, reason: str) -> None:
        """Close the connection; whoever waits for something of it is told the `reason`."""
        if not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError(reason))
        self.close()

    def send(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, properties: Properties | None = None
    ) -> asyncio.Future[bool]:
        """Queue one PUBLISH; the future ends with its PUBACK (QoS 0: when written), or with MqttError.

        It is False when the broker says that nobody has subscribed.
        """
        try:
            sent = self._client.publish(topic, payload, qos, retain, properties)
        except ValueError as error:  # a topic, or a length, that MQTT does not have
            raise PubackRefusedError(f"no MQTT message: {error}") from error
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(sent.rc, "could not publish")
        acknowledgement: asyncio.Future[bool] = self._loop.create_future()
        self._acknowledgements[sent.mid] = acknowledgement
        return acknowledgement

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that `message` is safe with us (PUBACK)."""
        self._client.ack(message.mid, message.qos)

    @property
    def left_behind(self) -> bool:
        """Whether the broker still has messages for us that only another connection brings, and no others are here."""
        return self._passed_over and self._queue.empty()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if self._queue.full():
            self._passed_over |= message.qos > 0
        else:
            super()._on_message(client, userdata, message)

    async def _wait_for(self, fut: Awaitable[Result], timeout: float | None) -> Result:  # noqa: ASYNC109 - aiomqtt's
        # Before Python 3.12 asyncio.wait_for forgets a cancellation that comes together with the result.
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("no answer in time") from None

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.resumed = flags.session_present
        if properties is not None:
            self.granted = _granted(properties)
        if reason_code.is_failure:
            self.dismissal = _dismissal(reason_code, properties)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.dismissal = _dismissal(reason_code, properties)
        if not self._connected.done():
            self._connected.set_exception(self._refusal())
        elif not self._connected.cancelled():
            super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: paho.Client,  # noqa: ARG002 - the callback's signature is paho's
        userdata: Any,  # noqa: ARG002 - likewise
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,  # noqa: ARG002 - likewise
    ) -> None:
        acknowledgement = self._acknowledgements.pop(mid, None)
        if acknowledgement is None or acknowledgement.done():
            return
        if reason_code.is_failure:
            refusal = PubackRefusedError(f"refused by the broker: {reason_code}", reason_code.value)
            acknowledgement.set_exception(refusal)
        else:
            acknowledgement.set_result(reason_code.value != _NO_SUBSCRIBERS)

    def _lost(self, disconnected: asyncio.Future[None]) -> None:
        cause = disconnected.exception() or aiomqtt.MqttError("disconnected")
        waiting: list[asyncio.Future[Any]] = [*self._acknowledgements.values(), *self._pending_subscribes.values()]
        self._acknowledgements.clear()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(aiomqtt.MqttError(f"connection lost: {cause}"))

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: socket.socket) -> None:  # noqa: ARG002 - paho's
        # Called in aiomqtt's connecting thread. The loop may have closed the socket by the time it looks, and its
        # number may already belong to another: aiomqtt would watch that one.
        def watch() -> None:
            if client.socket() is sock:
                self._loop.add_reader(sock.fileno(), self._read)
                self._misc_task = self._loop.create_task(self._misc_loop())

        self._loop.call_soon_threadsafe(watch)

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        if not self._stands:
            self._route.spent(sock)
        super()._on_socket_close(client, userdata, sock)

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: socket.socket) -> None:  # noqa: ARG002 - paho's
        def watch() -> None:
            if client.socket() is sock:
                self._loop.add_writer(sock.fileno(), self._write)

        self._loop.call_soon_threadsafe(watch)

    def _read(self) -> None:
        with self._ending():
            self._client.loop_read()
            # What TLS has already decrypted makes no socket readable.
            while isinstance(line := self._client.socket(), ssl.SSLSocket) and line.pending():
                self._client.loop_read()

    def _receive(self, octets: int) -> bytes:
        """Give paho what the socket has, a piece at a time, so that none of it passes the bound unseen."""
        self._bound()
        return self._received(min(octets, PIECE))

    def _bound(self) -> None:
        """Keep the bound that paho lacks: it collects whatever length a packet announces, up to 256 MB.

        Of a message only what is within it is kept, and that is refused for its length and acknowledged: over 3.1.1 the
        broker cannot be told of the bound, and would send the message again over every connection.
        """
        packet = self._client._in_packet  # noqa: SLF001 - nowhere public
        if packet["remaining_length"] <= MAX_PACKET_IN:
            return
        if packet["command"] & 0xF0 != paho.PUBLISH or packet["remaining_length"] > MAX_PASSED_OVER:
            raise aiomqtt.MqttError(f"the broker sends a packet of {packet['remaining_length']} octets")
        del packet["packet"][MAX_PACKET_IN:]

    def _write(self) -> None:
        with self._ending():
            self._client.loop_write()

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Whatever goes wrong in paho's loop ends this connection, and only this."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a socket error, or what a broker's nonsense raised in a callback
            self._client._sock_close()  # noqa: SLF001 - as in `close`
            for ending in (self._connected, self._disconnected):
                if not ending.done():
                    ending.set_exception(aiomqtt.MqttError(str(error)))
                    break


def _dismissal(reason: ReasonCode, properties: Properties | None) -> Dismissal:
    return Dismissal(int(reason.value), getattr(properties, "ServerReference", None))


def _granted(properties: Properties) -> Granted:
    """Read a CONNACK's properties; paho sets an attribute only for those that were sent."""
    usual = Granted()
    return Granted(
        receive_maximum=getattr(properties, "ReceiveMaximum", usual.receive_maximum),
        max_qos=getattr(properties, "MaximumQoS", usual.max_qos),
        retain=bool(getattr(properties, "RetainAvailable", usual.retain)),
        max_packet=getattr(properties, "MaximumPacketSize", usual.max_packet),
    )


def _with_will() -> ReasonCode:
    return ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
