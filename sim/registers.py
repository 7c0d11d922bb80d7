"""The registers of a simulated meter: which there are, their units, and the value of each at any second.

The values come from `sim.household`; attributes, profiles and the meter's clock are `sim.meter`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dcu.dlms import axdr
from dcu.obis import parse_obis
from sim.household import Channel, Household, noise

#: Unit codes of the Blue Book (IEC 62056-6-2, table of `unit`).
WATT, VOLT_AMPERE, WATT_HOUR, VOLT_AMPERE_HOUR, VAR_HOUR = 27, 28, 30, 31, 32
AMPERE, VOLT, HERTZ, COUNT = 33, 35, 44, 255

NOMINAL_DECIVOLT = 2300


@dataclass(frozen=True, slots=True)
class Register:
    """One register (class 3). `value` gives the meter's integer: value · 10^scaler in `unit`."""

    name: bytes
    scaler: int
    unit: int
    typed: Callable[[int], axdr.Typed]
    value: Callable[[Household, int], int]


def _energy(channel: Channel, home: Household, at: int) -> int:
    return home.energy(channel, at)


def _reactive(share: int, home: Household, at: int) -> int:
    """Return varh: a fixed share, in thousandths, of the Wh drawn."""
    # a share of an energy that never falls, so this one does not either
    own = share + noise(home.seed, home.meter, "reactive", share) % 100
    return home.imported(at) * own // 1000


def _exported_power(home: Household, at: int) -> int:
    return home.power(Channel.EXPORT, at)


def _voltage(phase: int, home: Household, at: int) -> int:
    """Return 0.1 V: falls with the home's own load, and wanders from minute to minute."""
    wander = noise(home.seed, home.meter, "voltage", phase, at // 60) % 81 - 40
    return NOMINAL_DECIVOLT + wander - (home.demand(at) - home.power(Channel.EXPORT, at)) // 100


def _power_factor(home: Household, at: int) -> int:
    """Return thousandths, drawn anew each quarter hour."""
    return 880 + noise(home.seed, home.meter, "factor", at // 900) % 120


def _current(phase: int, phases: int, home: Household, at: int) -> int:
    """Return 0.01 A of one of `phases` conductors, which share the home's power unequally."""
    # at least a third of the largest each: no conductor of a three-phase home is ever idle
    weights = [100 + noise(home.seed, home.meter, "share", index) % 100 for index in range(phases)]
    power = home.demand(at) + home.power(Channel.EXPORT, at)
    apparent = power * weights[phase] * 1000 // (sum(weights) * _power_factor(home, at))
    return apparent * 1000 // _voltage(phase, home, at)


def _frequency(home: Household, at: int) -> int:
    """Return 0.01 Hz; the same in every meter of the grid."""
    return 4996 + noise(home.seed, "frequency", at // 10) % 9


def register(text: str, scaler: int, unit: int, value: Callable[[Household, int], int]) -> Register:
    """Return the register called `text`; energies and powers are long, everything else is short."""
    wide = unit in {WATT, VOLT_AMPERE, WATT_HOUR, VOLT_AMPERE_HOUR, VAR_HOUR}
    return Register(parse_obis(text), scaler, unit, axdr.u32 if wide else axdr.u16, value)


def _phase_registers(phases: int) -> tuple[Register, ...]:
    voltages = (register(f"1-0:{32 + 20 * p}.7.0.255", -1, VOLT, partial(_voltage, p)) for p in range(phases))
    currents = (register(f"1-0:{31 + 20 * p}.7.0.255", -2, AMPERE, partial(_current, p, phases)) for p in range(phases))
    return (*voltages, *currents)


_COMMON = (
    register("1-0:1.8.0.255", 0, WATT_HOUR, Household.imported),
    register("1-0:1.8.1.255", 0, WATT_HOUR, partial(_energy, Channel.PEAK)),
    register("1-0:1.8.2.255", 0, WATT_HOUR, partial(_energy, Channel.OFF_PEAK)),
    register("1-0:2.8.0.255", 0, WATT_HOUR, partial(_energy, Channel.EXPORT)),
    register("1-0:3.8.0.255", 0, VAR_HOUR, partial(_reactive, 200)),
    register("1-0:4.8.0.255", 0, VAR_HOUR, partial(_reactive, 10)),
    register("1-0:1.7.0.255", 0, WATT, Household.demand),
    register("1-0:2.7.0.255", 0, WATT, _exported_power),
    register("1-0:13.7.0.255", -3, COUNT, _power_factor),
    register("1-0:14.7.0.255", -2, HERTZ, _frequency),
)

#: By number of phases: the registers of a meter, by logical name.
REGISTERS = {phases: {each.name: each for each in (*_COMMON, *_phase_registers(phases))} for phases in (1, 3)}
