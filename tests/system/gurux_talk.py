"""A conversation of gurux-dlms's client, which shares no code with us, with a simulated meter on a pty or behind TCP.

It runs in a thread of its own, because it blocks on the line as a meter reader's laptop does.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

import serial
from gurux_dlms import GXByteBuffer, GXDateTime, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, ObjectType, Security
from gurux_dlms.secure import GXDLMSSecureClient

from dcu.clock import SystemClock, seconds, utc
from dcu.model import Column, Keys
from dcu.obis import parse_obis
from sim.bus import PtyBus, TcpBus
from sim.line import Line
from sim.meter import Nameplate, SimMeter

KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0x20, 0x30)))
BAUD = 115_200
HOUR = 3600


class Wire(Protocol):
    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes: ...


class SerialWire:
    def __init__(self, path: str) -> None:
        self._port = serial.Serial(path, BAUD, timeout=5, exclusive=True)

    def send(self, data: bytes) -> None:
        self._port.write(data)

    def receive(self) -> bytes:
        return bytes(self._port.read(max(1, self._port.in_waiting)))

    def close(self) -> None:
        self._port.close()


class TcpWire:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        return self._socket.recv(4096)

    def close(self) -> None:
        self._socket.close()


class Gurux:
    """One association of gurux's client, opened on construction."""

    def __init__(self, client: Any, wire: Wire) -> None:
        self.client = client
        self.frames = 0
        self._wire = wire
        if client.interfaceType == InterfaceType.HDLC:
            client.parseUAResponse(self._exchange(client.snrmRequest()).data)
        client.parseAareResponse(self._exchange(client.aarqRequest()).data)
        if client.isAuthenticationRequired:
            client.parseApplicationAssociationResponse(self._exchange(client.getApplicationAssociationRequest()).data)

    def read(self, item: Any, index: int) -> Any:
        reply = self._exchange(self.client.read(item, index))
        return self.client.updateValue(item, index, reply.value)

    def read_list(self, wanted: list[tuple[Any, int]]) -> list[Any]:
        values: list[Any] = []
        for request in self.client.readList(wanted):
            reply = self._exchange(request)
            values += reply.value
        self.client.updateValues(wanted, values)
        return values

    def rows(self, profile: Any, start: int, end: int) -> list[list[Any]]:
        window = [GXDateTime(utc(moment)) for moment in (start, end)]
        reply = self._exchange(self.client.readRowsByRange(profile, *window))
        self.client.updateValue(profile, 2, reply.value)
        return list(profile.buffer)

    def entries(self, profile: Any, first: int, count: int) -> list[list[Any]]:
        reply = self._exchange(self.client.readRowsByEntry(profile, first, count))
        self.client.updateValue(profile, 2, reply.value)
        return list(profile.buffer)

    def objects(self) -> list[Any]:
        reply = self._exchange(self.client.getObjectsRequest())
        return list(self.client.parseObjects(reply.data, False, False))

    def invoke(self, item: Any, method: int) -> None:
        self._exchange(self.client.method(item, method, 0, 15))

    def ask(self, requests: Any) -> None:
        self._exchange(requests)

    def close(self) -> None:
        if self.client.interfaceType == InterfaceType.WRAPPER:
            self._exchange(self.client.releaseRequest())
        else:
            self._exchange(self.client.disconnectRequest())

    def _exchange(self, requests: Any) -> Any:
        """Send what may be one frame or several, and collect the whole answer, over blocks and segments."""
        reply = GXReplyData()
        for request in requests if isinstance(requests, list) else [requests]:
            reply.clear()
            self._answer(request, reply)
            while reply.isMoreData():
                self._answer(self.client.receiverReady(reply), reply)
        return reply

    def _answer(self, request: Any, reply: Any) -> None:
        self.frames += 1
        self._wire.send(bytes(request))
        buffer, notify = GXByteBuffer(), GXReplyData()
        while not self.client.getData(buffer, reply, notify):
            data = self._wire.receive()
            assert data, "the meter is silent"
            buffer.set(data)
        assert not reply.error, f"access result {reply.error}"


def lls(meter: SimMeter, interface: InterfaceType = InterfaceType.HDLC) -> Any:
    return GXDLMSSecureClient(True, 2, address_of(meter, interface), Authentication.LOW, "12345678", interface)


def short(meter: SimMeter, interface: InterfaceType = InterfaceType.HDLC) -> Any:
    return GXDLMSSecureClient(False, 2, address_of(meter, interface), Authentication.LOW, "12345678", interface)


def hls(meter: SimMeter, interface: InterfaceType = InterfaceType.HDLC) -> Any:
    client = GXDLMSSecureClient(True, 1, address_of(meter, interface), Authentication.HIGH_GMAC, None, interface)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.systemTitle = b"GURUX001"
    client.ciphering.blockCipherKey = KEYS.encryption_key
    client.ciphering.authenticationKey = KEYS.authentication_key
    client.ciphering.invocationCounter = 100
    return client


def address_of(meter: SimMeter, interface: InterfaceType) -> int:
    if interface == InterfaceType.WRAPPER:
        return meter.plate.address
    return int(GXDLMSSecureClient.getServerAddress(1, meter.plate.address, 4))


def simulated(**changes: Any) -> SimMeter:
    return SimMeter(Nameplate(**{"seed": 5, "id": "M0042", "address": 300, "keys": KEYS, **changes}))


async def over_pty(meter: SimMeter, client: Any, talk: Callable[[Gurux], None]) -> None:
    """Run `talk` in a thread, on a pty with a second meter on the same line."""
    line = Line([meter, SimMeter(Nameplate(seed=5, id="M0043", address=301))], baud=BAUD, turnaround=0.002)
    async with PtyBus("rs485-1", line, SystemClock()) as bus:
        await asyncio.to_thread(_conversation, SerialWire(bus.path), client, talk)


async def over_tcp(meter: SimMeter, client: Any, talk: Callable[[Gurux], None]) -> None:
    async with TcpBus("gateway-1", [meter], SystemClock(), turnaround=0.002) as bus:
        await asyncio.to_thread(_conversation, TcpWire(bus.port), client, talk)


def _conversation(wire: Any, client: Any, talk: Callable[[Gurux], None]) -> None:
    try:
        gurux = Gurux(client, wire)
        talk(gurux)
        gurux.close()
    finally:
        wire.close()


def columns(profile: Any) -> tuple[Column, ...]:
    """Return the columns that gurux found in a profile, without the clock."""
    return tuple(
        Column(int(item.objectType), parse_obis(item.logicalName), target.attributeIndex)
        for item, target in profile.captureObjects
        if item.objectType != ObjectType.CLOCK
    )


def moment(value: Any) -> int:
    """Return the UTC second of a time as gurux gives it."""
    when = value.value if isinstance(value, GXDateTime) else value
    assert isinstance(when, datetime)
    return int(seconds(when))


def filled(rows: list[list[Any]]) -> Iterator[list[Any]]:
    """Put the value above in the place of each null, which gurux does for times only."""
    above: list[Any] = []
    for row in rows:
        above = [above[at] if value is None else value for at, value in enumerate(row)]
        yield above


def a_day_ago() -> int:
    return int(SystemClock().now()) // HOUR * HOUR - 24 * HOUR
