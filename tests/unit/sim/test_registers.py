import pytest

from dcu.dlms import axdr
from dcu.obis import format_obis, parse_obis
from sim.household import DAY, INSTALLED, Household
from sim.registers import REGISTERS

AT = INSTALLED + 700 * DAY
HOMES = [Household(3, f"M{number}", number % 2 == 0) for number in range(40)]


def value(name: str, home: Household, at: int, phases: int = 1) -> int:
    return REGISTERS[phases][parse_obis(name)].value(home, at)


@pytest.mark.parametrize("phases", [1, 3])
def test_every_register_fits_its_type_at_any_time(phases: int) -> None:
    for register in REGISTERS[phases].values():
        for home in HOMES[:8]:
            for at in (INSTALLED, AT, AT + 43_200, 2**31 + 5, 2**32 + 5):
                encoded = axdr.encode(register.typed(register.value(home, at)))
                assert axdr.decode_all(encoded) == register.value(home, at), format_obis(register.name)


def test_only_three_phases_have_three_voltages() -> None:
    single, three = (set(REGISTERS[phases]) for phases in (1, 3))
    assert {format_obis(name) for name in three - single} == {f"1-0:{group}.7.0.255" for group in (51, 52, 71, 72)}


def test_voltage_stays_near_nominal() -> None:
    voltages = [value("1-0:32.7.0.255", home, AT + n * 600) for home in HOMES for n in range(144)]
    assert 2050 < min(voltages) < 2290
    assert 2310 < max(voltages) < 2480


def test_current_times_voltage_is_the_power() -> None:
    for home in HOMES:
        power = value("1-0:1.7.0.255", home, AT) + value("1-0:2.7.0.255", home, AT)
        amperes = value("1-0:31.7.0.255", home, AT) / 100
        volts = value("1-0:32.7.0.255", home, AT) / 10
        factor = value("1-0:13.7.0.255", home, AT) / 1000
        assert amperes * volts * factor == pytest.approx(power, rel=0.02, abs=3)


def test_three_phase_currents_add_up_to_the_single_one() -> None:
    for home in HOMES:
        three = sum(value(f"1-0:{group}.7.0.255", home, AT, 3) for group in (31, 51, 71))
        assert three == pytest.approx(value("1-0:31.7.0.255", home, AT), rel=0.06, abs=4)


def test_the_grid_has_one_frequency() -> None:
    assert len({value("1-0:14.7.0.255", home, AT) for home in HOMES}) == 1
    assert {4996, 5004} <= {value("1-0:14.7.0.255", HOMES[0], AT + 10 * n) for n in range(200)}


def test_tariffs_add_up_to_the_import() -> None:
    for home in HOMES:
        tariffs = value("1-0:1.8.1.255", home, AT) + value("1-0:1.8.2.255", home, AT)
        assert tariffs == value("1-0:1.8.0.255", home, AT)
