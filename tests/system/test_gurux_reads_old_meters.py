"""The client of gurux-dlms, told to use short names, reads simulated old meters over a real pty and over TCP.

It asks for the association view first, as every client of short names must. Its block transfer by short names raises
for a method that its own class lacks, so answers are as long as one APDU here.
"""

from typing import Any

import pytest
from gurux_dlms import GXDLMSException
from gurux_dlms.enums import InterfaceType, ObjectType
from gurux_dlms.objects import GXDLMSRegister

from dcu.clock import SystemClock
from dcu.model import Column, Referencing
from dcu.obis import parse_obis
from sim.meter import SimMeter
from sim.objects import ASSOCIATION
from sim.profiles import LOAD_0
from sim.short_names import BASES
from sim.truth import expected_times, expected_values
from tests.system.gurux_talk import (
    HOUR,
    Gurux,
    a_day_ago,
    columns,
    filled,
    lls,
    moment,
    over_pty,
    over_tcp,
    short,
    simulated,
)

REGISTERS = ("1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255", "1.0.1.8.1.255", "1.0.1.8.2.255")

ROADS = [
    pytest.param(over_pty, short, id="hdlc"),
    pytest.param(over_tcp, lambda meter: short(meter, InterfaceType.WRAPPER), id="wrapper"),
]
roads = pytest.mark.parametrize(("road", "client_of"), ROADS)


def old(**changes: Any) -> SimMeter:
    return simulated(referencing=Referencing.SN, phases=3, **changes)


def view(gurux: Gurux) -> dict[str, Any]:
    """Return the objects that the association tells of, by logical name."""
    return {item.logicalName: item for item in gurux.objects()}


@roads
async def test_the_association_view(road: Any, client_of: Any) -> None:
    meter = old()

    def talk(gurux: Gurux) -> None:
        found = {(item.shortName, int(item.objectType), parse_obis(item.logicalName)) for item in gurux.objects()}
        assert found == {(base, *known) for base, known in BASES[3].items()}
        assert (0xFA00, ObjectType.ASSOCIATION_SHORT_NAME, ASSOCIATION) in found

    await road(meter, client_of(meter), talk)


@roads
async def test_registers_one_by_one_and_in_a_list(road: Any, client_of: Any) -> None:
    meter = old(solar=True)

    def talk(gurux: Gurux) -> None:
        objects = view(gurux)
        for name in REGISTERS:
            register = objects[name]
            gurux.read(register, 3)
            before = meter.clock_at(SystemClock().now())
            gurux.read(register, 2)
            after = meter.clock_at(SystemClock().now())
            column = Column(3, parse_obis(name))
            low, high = (expected_values(meter, [column], at)[0] for at in (before, after))
            assert low <= register.value <= high
            assert (register.scaler, int(register.unit)) in {(1, 30), (1, 32)}
        clock = objects["0.0.1.0.0.255"]
        values = gurux.read_list([(item, 2) for item in (clock, *(objects[name] for name in REGISTERS))])
        wanted = [Column(3, parse_obis(name)) for name in REGISTERS]
        assert tuple(values[1:]) == expected_values(meter, wanted, moment(clock.time))

    await road(meter, client_of(meter), talk)
    assert meter.served[parse_obis(REGISTERS[0])] == 3


@roads
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "null-data"])
async def test_a_day_of_load_profile_by_range_and_some_of_it_by_entry(
    road: Any, client_of: Any, compressed: bool
) -> None:
    meter = old(compressed=compressed)

    def talk(gurux: Gurux) -> None:
        profile = view(gurux)["1.0.99.1.0.255"]
        for index in (3, 4, 7):
            gurux.read(profile, index)
        start = a_day_ago()
        rows = gurux.rows(profile, start, start + 24 * HOUR - 1)
        assert tuple(moment(row[0]) for row in rows) == expected_times(meter, LOAD_0, start, start + 24 * HOUR - 1)
        assert len(rows) == 96
        for row in filled(rows):
            assert tuple(row[1:]) == expected_values(meter, columns(profile), moment(row[0]))
        assert len(gurux.entries(profile, profile.entriesInUse - 1, 2)) == 2

    await road(meter, client_of(meter), talk)


async def test_long_answers_in_small_frames() -> None:
    meter = old(max_info=128, window=4)

    def talk(gurux: Gurux) -> None:
        before = gurux.frames
        assert len(gurux.objects()) == len(BASES[3])
        assert gurux.frames - before > 5

    client = short(meter)
    # a UA that grants 128 says nothing, and gurux then keeps what it offered
    client.hdlcSettings.maxInfoRX = client.hdlcSettings.maxInfoTX = 128
    await over_pty(meter, client, talk)


async def test_what_is_not_there_is_undefined() -> None:
    meter = old()

    def talk(gurux: Gurux) -> None:
        nothing = GXDLMSRegister("1.0.99.8.0.255")
        nothing.shortName = 0x0003
        with pytest.raises(AssertionError, match="access result 4"):
            gurux.read(nothing, 2)

    await over_pty(meter, short(meter), talk)


@pytest.mark.parametrize(("referencing", "client_of"), [(Referencing.SN, lls), (Referencing.LN, short)])
async def test_the_other_kind_of_names_is_refused(referencing: Referencing, client_of: Any) -> None:
    meter = simulated(referencing=referencing)
    with pytest.raises(GXDLMSException, match="rejected"):
        await over_pty(meter, client_of(meter), lambda gurux: None)
    assert not meter.served
