"""The client of gurux-dlms, which shares no code with us, reads simulated meters over a real pty and over TCP.

It judges the simulator: what it understands and what its values are, compared with the simulator's truth. It runs in a
thread of its own, because it blocks on the line as a meter reader's laptop does.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

import pytest
import serial
from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSException, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, ObjectType, Security
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSDisconnectControl, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient

from dcu.clock import SystemClock, seconds, utc
from dcu.model import Column, Keys
from dcu.obis import parse_obis
from sim.bus import PtyBus, TcpBus
from sim.line import Line
from sim.meter import Nameplate, SimMeter
from sim.profiles import LOAD_0
from sim.truth import expected_times, expected_values

KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0x20, 0x30)))
BAUD = 115_200
REGISTERS = ("1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255", "1.0.1.8.1.255", "1.0.1.8.2.255")
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
        assert not reply.error, reply.errorMessage


def lls(meter: SimMeter, interface: InterfaceType = InterfaceType.HDLC) -> Any:
    return GXDLMSSecureClient(True, 2, _address(meter, interface), Authentication.LOW, "12345678", interface)


def hls(meter: SimMeter, interface: InterfaceType = InterfaceType.HDLC) -> Any:
    client = GXDLMSSecureClient(True, 1, _address(meter, interface), Authentication.HIGH_GMAC, None, interface)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.systemTitle = b"GURUX001"
    client.ciphering.blockCipherKey = KEYS.encryption_key
    client.ciphering.authenticationKey = KEYS.authentication_key
    client.ciphering.invocationCounter = 100
    return client


def _address(meter: SimMeter, interface: InterfaceType) -> int:
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


ROADS = [
    pytest.param(over_pty, lls, id="hdlc-lls"),
    pytest.param(over_pty, hls, id="hdlc-hls"),
    pytest.param(over_tcp, lambda meter: lls(meter, InterfaceType.WRAPPER), id="wrapper-lls"),
    pytest.param(over_tcp, lambda meter: hls(meter, InterfaceType.WRAPPER), id="wrapper-hls"),
]


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


@pytest.mark.parametrize(("road", "client_of"), ROADS)
async def test_registers_one_by_one_and_in_a_list(road: Any, client_of: Any) -> None:
    meter = simulated(phases=3, solar=True)

    def talk(gurux: Gurux) -> None:
        for name in REGISTERS:
            register = GXDLMSRegister(name)
            gurux.read(register, 3)
            before = meter.clock_at(SystemClock().now())
            gurux.read(register, 2)
            after = meter.clock_at(SystemClock().now())
            column = Column(3, parse_obis(name))
            low, high = (expected_values(meter, [column], at)[0] for at in (before, after))
            assert low <= register.value <= high
            assert (register.scaler, int(register.unit)) in {(1, 30), (1, 32)}
        clock, *registers = [GXDLMSClock("0.0.1.0.0.255"), *map(GXDLMSRegister, REGISTERS)]
        values = gurux.read_list([(item, 2) for item in (clock, *registers)])
        wanted = [Column(3, parse_obis(name)) for name in REGISTERS]
        assert tuple(values[1:]) == expected_values(meter, wanted, moment(clock.time))

    await road(meter, client_of(meter), talk)
    assert meter.served[parse_obis(REGISTERS[0])] == 3


@pytest.mark.parametrize(("road", "client_of"), ROADS)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "null-data"])
async def test_a_day_of_load_profile_by_range(road: Any, client_of: Any, compressed: bool) -> None:
    meter = simulated(compressed=compressed)

    def talk(gurux: Gurux) -> None:
        profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        gurux.read(profile, 3)
        gurux.read(profile, 4)
        start = a_day_ago()
        rows = gurux.rows(profile, start, start + 24 * HOUR - 1)
        assert tuple(moment(row[0]) for row in rows) == expected_times(meter, LOAD_0, start, start + 24 * HOUR - 1)
        assert len(rows) == 96
        for row in filled(rows):
            assert tuple(row[1:]) == expected_values(meter, columns(profile), moment(row[0]))

    await road(meter, client_of(meter), talk)


@pytest.mark.parametrize(("road", "client_of"), ROADS)
async def test_long_answers_come_in_blocks_and_segments(road: Any, client_of: Any) -> None:
    meter = simulated(phases=3, max_info=128)

    def talk(gurux: Gurux) -> None:
        before = gurux.frames
        found = {item.logicalName: item for item in gurux.objects()}
        assert gurux.frames - before > 3
        assert {"1.0.1.8.0.255", "1.0.99.1.0.255", "0.0.96.3.10.255", "1.0.72.7.0.255"} <= found.keys()
        assert found["1.0.99.1.0.255"].objectType == ObjectType.PROFILE_GENERIC

    client = client_of(meter)
    client.maxReceivePDUSize = 512
    await road(meter, client, talk)


@pytest.mark.parametrize("client_of", [lls, hls], ids=["lls", "hls"])
@pytest.mark.parametrize("sending", [1, 4])
@pytest.mark.parametrize("octets", [128, 2030])
@pytest.mark.parametrize("pdu", [256, 0xFFFF], ids=["blocks", "one-apdu"])
async def test_frames_windows_and_blocks_of_each_size(client_of: Any, sending: int, octets: int, pdu: int) -> None:
    """gurux takes a window of one: it calls a frame that is not the last of its window an invalid one."""
    meter = simulated(phases=3, max_info=octets, window=4)

    def talk(gurux: Gurux) -> None:
        agreed = gurux.client.hdlcSettings
        assert (agreed.maxInfoRX, agreed.maxInfoTX) == (octets, octets)
        assert (agreed.windowSizeRX, agreed.windowSizeTX) == (1, sending)
        before = gurux.frames
        profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        for index in (3, 4):
            gurux.read(profile, index)
        start = a_day_ago()
        rows = gurux.rows(profile, start, start + 24 * HOUR - 1)
        assert tuple(moment(row[0]) for row in rows) == expected_times(meter, LOAD_0, start, start + 24 * HOUR - 1)
        for row in filled(rows):
            assert tuple(row[1:]) == expected_values(meter, columns(profile), moment(row[0]))
        # four requests and one segment more; small frames or blocks take many turns of the line
        assert (gurux.frames - before > 8) is (min(octets, pdu) < 2030)

    client = client_of(meter)
    # a UA that grants 128 says nothing, and gurux then keeps what it offered
    client.hdlcSettings.maxInfoRX = client.hdlcSettings.maxInfoTX = octets
    client.hdlcSettings.windowSizeTX = sending
    client.maxReceivePDUSize = pdu
    await over_pty(meter, client, talk)


@pytest.mark.parametrize("client_of", [lls, hls], ids=["lls", "hls"])
async def test_answers_of_one_frame_in_a_window_of_four(client_of: Any) -> None:
    meter = simulated(phases=3, window=4)

    def talk(gurux: Gurux) -> None:
        agreed = gurux.client.hdlcSettings
        assert (agreed.windowSizeRX, agreed.windowSizeTX) == (4, 4)
        clock, *registers = [GXDLMSClock("0.0.1.0.0.255"), *map(GXDLMSRegister, REGISTERS)]
        values = gurux.read_list([(item, 2) for item in (clock, *registers)])
        wanted = [Column(3, parse_obis(name)) for name in REGISTERS]
        assert tuple(values[1:]) == expected_values(meter, wanted, moment(clock.time))

    client = client_of(meter)
    client.hdlcSettings.windowSizeRX = client.hdlcSettings.windowSizeTX = 4
    await over_pty(meter, client, talk)


@pytest.mark.parametrize("client_of", [lls, hls], ids=["lls", "hls"])
@pytest.mark.parametrize("pdu", [256, 0xFFFF], ids=["blocks", "one-apdu"])
async def test_packets_with_blocks_of_each_size(client_of: Any, pdu: int) -> None:
    meter = simulated(phases=3)

    def talk(gurux: Gurux) -> None:
        before = gurux.frames
        assert {"1.0.1.8.0.255", "1.0.99.1.0.255"} <= {item.logicalName for item in gurux.objects()}
        assert (gurux.frames - before > 5) is (pdu == 256)

    client = client_of(meter, InterfaceType.WRAPPER)
    client.maxReceivePDUSize = pdu
    await over_tcp(meter, client, talk)


async def test_rows_by_entry_and_the_other_profiles() -> None:
    meter = simulated(phases=3)

    def talk(gurux: Gurux) -> None:
        for name in ("1.0.99.3.0.255", "1.0.99.2.0.255", "0.0.98.1.0.255", "0.0.99.98.0.255", "0.0.99.98.1.255"):
            profile = GXDLMSProfileGeneric(name)
            for index in (3, 4, 7):
                gurux.read(profile, index)
            assert profile.entriesInUse > 1
            rows = gurux.entries(profile, profile.entriesInUse - 1, 2)
            assert len(rows) == 2
            for row in filled(rows):
                assert tuple(row[1:]) == expected_values(meter, columns(profile), moment(row[0]))

    await over_pty(meter, lls(meter), talk)


async def test_clock_identity_and_relay() -> None:
    meter = simulated(clock_offset=-75.0)

    def talk(gurux: Gurux) -> None:
        clock = GXDLMSClock("0.0.1.0.0.255")
        gurux.read(clock, 2)
        assert -77 < moment(clock.time) - SystemClock().now() < -73
        assert bytes(gurux.read(GXDLMSData("0.0.42.0.0.255"), 2)).startswith(b"SIM")
        relay = GXDLMSDisconnectControl("0.0.96.3.10.255")
        assert gurux.read(relay, 2) is True
        gurux.invoke(relay, 1)
        assert gurux.read(relay, 2) is False

    await over_pty(meter, hls(meter), talk)
    assert not meter.relay.connected


@pytest.mark.parametrize("kind", ["password", "key"])
async def test_a_wrong_secret_is_refused(kind: str) -> None:
    meter = simulated()
    client = lls(meter) if kind == "password" else hls(meter)
    if kind == "password":
        client.password = b"00000000"
    else:
        client.ciphering.authenticationKey = bytes(16)
    with pytest.raises(GXDLMSException, match="rejected"):
        await over_pty(meter, client, lambda gurux: None)
    assert not meter.served
