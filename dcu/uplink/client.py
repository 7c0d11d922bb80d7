"""aiomqtt's client with what the durability of this project needs and it leaves out.

Added: the reason in a PUBACK, waking up every waiter when the connection goes, commands acknowledged by us instead of
by the library, a dial that can be cancelled, a close that never waits. Settings and error words are in `link`.
"""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

#: Largest packet accepted from the broker; the longest command envelope fits twice.
MAX_PACKET_IN = 65_536

#: Received messages waiting for their turn. A message beyond is not acknowledged, so a broker keeps it.
MAX_QUEUED_IN = 100

#: Seconds for the TCP connection to one address, and for the CONNACK.
DIAL_TIMEOUT = 10.0


class ClosedBeforeConnackError(aiomqtt.MqttError):
    """The broker hung up instead of answering CONNECT; many do so with a protocol version they do not know."""


class PubackRefusedError(aiomqtt.MqttError):
    """A PUBACK with a failure code (MQTT 5, 3.4.2.1): the broker does not have the message."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What the broker said it takes, in its CONNACK (MQTT 5, 3.2.2.3); the defaults are those of the standard."""

    receive_maximum: int = 65_535
    max_qos: int = 2
    retain: bool = True
    max_packet: int = 268_435_455


class Client(aiomqtt.Client):
    """One connection; made anew for each, so that no message survives in paho's queues."""

    def __init__(self, hostname: str, port: int, **settings: Any) -> None:
        super().__init__(hostname, port, timeout=DIAL_TIMEOUT, max_queued_incoming_messages=MAX_QUEUED_IN, **settings)
        self.granted = Granted()
        self._acknowledgements: dict[int, asyncio.Future[None]] = {}
        self._client.manual_ack_set(True)

    async def open(self) -> None:
        """Connect. Raises OSError or MqttError; leaves nothing behind, also when cancelled."""
        line = await dial(self._hostname, self._port)
        # A thread may sit in the TLS handshake; shutting down a duplicate of the socket wakes it.
        guard = line.dup()
        vars(self._client)["_create_socket_connection"] = lambda: line
        try:
            await self.__aenter__()
        except BaseException:
            with contextlib.suppress(OSError):
                guard.shutdown(socket.SHUT_RDWR)
            self._connected.cancel()
            self.close()
            line.close()
            raise
        finally:
            guard.close()
        self._disconnected.add_done_callback(self._lost)

    def close(self) -> None:
        """Say DISCONNECT if the socket takes it at once, and drop the connection."""
        self._client.disconnect()
        self._client.loop_write()
        self._client._sock_close()  # noqa: SLF001 - paho has no public way to drop a socket that takes no more

    def send(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> asyncio.Future[None]:
        """Queue one PUBLISH; the future ends with its PUBACK (QoS 0: when written), or with MqttError."""
        sent = self._client.publish(topic, payload, qos, retain)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(sent.rc, "could not publish")
        acknowledgement: asyncio.Future[None] = self._loop.create_future()
        self._acknowledgements[sent.mid] = acknowledgement
        return acknowledgement

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that `message` is safe with us (PUBACK)."""
        self._client.ack(message.mid, message.qos)

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if properties is not None:
            self.granted = _granted(properties)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            self._connected.set_exception(ClosedBeforeConnackError("connection closed before CONNACK"))
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: paho.Client,  # noqa: ARG002 - the callback's signature is paho's
        userdata: Any,  # noqa: ARG002
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,  # noqa: ARG002
    ) -> None:
        acknowledgement = self._acknowledgements.pop(mid, None)
        if acknowledgement is None or acknowledgement.done():
            return
        if reason_code.is_failure:
            acknowledgement.set_exception(PubackRefusedError(f"refused by the broker: {reason_code}"))
        else:
            acknowledgement.set_result(None)

    def _lost(self, disconnected: asyncio.Future[None]) -> None:
        cause = disconnected.exception() or aiomqtt.MqttError("disconnected")
        waiting, self._acknowledgements = self._acknowledgements, {}
        for acknowledgement in waiting.values():
            if not acknowledgement.done():
                acknowledgement.set_exception(aiomqtt.MqttError(f"connection lost: {cause}"))

    async def _misc_loop(self) -> None:
        # paho collects whatever length a packet announces, up to 256 MB; here is the bound it lacks.
        while self._client.loop_misc() == paho.MQTT_ERR_SUCCESS:
            if self._client._in_packet["remaining_length"] > MAX_PACKET_IN:  # noqa: SLF001 - nowhere public
                self._client._sock_close()  # noqa: SLF001 - as above
                if not self._disconnected.done():
                    self._disconnected.set_exception(aiomqtt.MqttError("the broker sends an oversized packet"))
                return
            await asyncio.sleep(1)


async def dial(host: str, port: int) -> socket.socket:
    """Return a connected, non-blocking TCP socket to the first address that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        line = socket.socket(family, kind, protocol)
        line.setblocking(False)
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                await loop.sock_connect(line, address)
        except OSError as error:  # includes the TimeoutError of asyncio.timeout
            line.close()
            failure = error
        except BaseException:
            line.close()
            raise
        else:
            return line
    raise failure


def _granted(properties: Properties) -> Granted:
    """Read a CONNACK's properties; paho sets an attribute only for those that were sent."""
    usual = Granted()
    return Granted(
        receive_maximum=getattr(properties, "ReceiveMaximum", usual.receive_maximum),
        max_qos=getattr(properties, "MaximumQoS", usual.max_qos),
        retain=bool(getattr(properties, "RetainAvailable", usual.retain)),
        max_packet=getattr(properties, "MaximumPacketSize", usual.max_packet),
    )
