"""The client of gurux-dlms, which shares no code with us, reads simulated meters over a real pty and over TCP.

It judges the simulator: what it understands and what its values are, compared with the simulator's truth.
"""

from typing import Any

import pytest
from gurux_dlms import GXDLMSException
from gurux_dlms.enums import InterfaceType, ObjectType
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSDisconnectControl, GXDLMSProfileGeneric, GXDLMSRegister

from dcu.clock import SystemClock
from dcu.model import Column
from dcu.obis import parse_obis
from sim.profiles import LOAD_0
from sim.truth import expected_times, expected_values
from tests.system.gurux_talk import (
    HOUR,
    Gurux,
    a_day_ago,
    columns,
    filled,
    hls,
    lls,
    moment,
    over_pty,
    over_tcp,
    simulated,
)

REGISTERS = ("1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255", "1.0.1.8.1.255", "1.0.1.8.2.255")

ROADS = [
    pytest.param(over_pty, lls, id="hdlc-lls"),
    pytest.param(over_pty, hls, id="hdlc-hls"),
    pytest.param(over_tcp, lambda meter: lls(meter, InterfaceType.WRAPPER), id="wrapper-lls"),
    pytest.param(over_tcp, lambda meter: hls(meter, InterfaceType.WRAPPER), id="wrapper-hls"),
]


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
