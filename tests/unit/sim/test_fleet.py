from collections import Counter

import pytest

from dcu.clock import SystemClock
from dcu.model import Authentication, Framing, Referencing
from sim.fleet import Fleet, FleetPlan, make_meter
from sim.server import READER
from tests.unit.sim.conversation import NOW, hdlc

PLAN = FleetPlan(meters=200, buses=3, tcp_meters=20, seed=4)


def fleet(plan: FleetPlan = PLAN) -> Fleet:
    return Fleet(plan, SystemClock())


def test_every_meter_hangs_on_one_bus() -> None:
    made = fleet()
    assert Counter(meter.bus for meter in made.archive) == {
        "rs485-1": 60,
        "rs485-2": 60,
        "rs485-3": 60,
        "gateway-1": 20,
    }
    assert {meter.id for meter in made.archive} == {f"M{number:04d}" for number in range(1, 201)}
    assert [made.framing(bus) for bus in made.buses] == [Framing.HDLC] * 3 + [Framing.WRAPPER]


def test_the_fleet_is_a_mix() -> None:
    made = fleet()
    shares = [
        sum(meter.plate.phases == 3 for meter in made.meters),
        sum(meter.plate.solar for meter in made.meters),
        sum(made.access[each.access].authentication is Authentication.HLS_GMAC for each in made.archive),
        sum(not meter.plate.compressed for meter in made.meters),
    ]
    for share, expected in zip(shares, (50, 40, 50, 100), strict=True):
        assert expected * 0.6 < share < expected * 1.4


def test_a_share_of_the_meters_with_passwords_is_old() -> None:
    assert set(fleet().access) == {"reader", "management"}
    made = fleet(FleetPlan(meters=200, old=128))
    old = {each.id for each in made.archive if each.access == "old-reader"}
    assert old == {meter.id for meter in made.meters if meter.plate.referencing is Referencing.SN}
    assert 50 < len(old) < 100
    assert made.access["old-reader"].authentication is Authentication.LLS
    assert all(made.keys[meter].password for meter in old)


def test_a_seed_makes_the_same_fleet_again_and_another_a_different_one() -> None:
    assert make_meter(PLAN, 7).plate == make_meter(PLAN, 7).plate
    assert make_meter(PLAN, 7).plate != make_meter(FleetPlan(seed=5), 7).plate


def test_no_two_meters_share_a_secret() -> None:
    keys = [meter.plate.keys for meter in fleet().meters]
    secrets = {secret for each in keys for secret in (each.password, each.encryption_key, each.authentication_key)}
    assert len(secrets) == 600


def test_clocks_are_right_unless_a_spread_is_asked_for() -> None:
    assert {meter.plate.clock_offset for meter in fleet().meters} == {0.0}
    offsets = [make_meter(FleetPlan(clock_spread=60.0), index).plate.clock_offset for index in range(100)]
    assert -60 <= min(offsets) < -30
    assert 30 < max(offsets) <= 60


def test_a_meter_is_found_by_its_id() -> None:
    made = fleet()
    assert made.meter("M0123").id == "M0123"
    with pytest.raises(KeyError):
        made.meter("M0999")


def test_what_was_served_is_counted_over_all_meters() -> None:
    made = fleet(FleetPlan(meters=2, buses=1))
    for meter in made.meters:
        talk = hdlc(meter, READER, meter.plate.keys)
        talk.open()
        talk.get(*(column for column in meter.profiles[bytes((1, 0, 99, 1, 0, 255))].columns))
    assert made.served()["1-0:1.8.0.255"] == 2


def test_a_thousand_meters_are_cheap() -> None:
    made = fleet(FleetPlan(meters=1024, buses=3))
    assert len({meter.title for meter in made.meters}) == 1024
    assert max(meter.plate.address for meter in made.meters) < 0x3FFE
    assert all(meter.clock_at(NOW) == int(NOW) for meter in made.meters)


async def test_it_opens_silences_and_closes_its_buses() -> None:
    async with fleet(FleetPlan(meters=6, buses=2, tcp_meters=2)) as made:
        assert len({bus.path for bus in made.buses}) == 3
        made.silence("M0001", "M0006")
        assert made.wires[0].faults.silent == {"M0001", "M0006"}
        assert made.gateway is not None
        assert made.gateway.silent == {"M0001", "M0006"}
