"""What makes a simulated meter one after IS 15959: its registers, profiles, logs and the profiles of scalers.

The values come from the same household as in any other meter; how they are served is in `sim.objects`.
"""

from dataclasses import replace

from dcu.model import Attribute
from dcu.obis import parse_obis
from sim.events import Episode, EventLog
from sim.household import DAY, Household
from sim.profiles import BILLING_DATE, SimProfile
from sim.registers import (
    AMPERE,
    REGISTERS,
    VOLT,
    VOLT_AMPERE,
    VOLT_AMPERE_HOUR,
    WATT,
    WATT_HOUR,
    Register,
    register,
)

INSTANTANEOUS = parse_obis("1-0:94.91.0.255")
BLOCK_LOAD = parse_obis("1-0:99.1.0.255")
DAILY_LOAD = parse_obis("1-0:99.2.0.255")
BILLING = parse_obis("1-0:98.1.0.255")
EVENT_STATUS_WORD = parse_obis("0-0:94.91.18.255")

HALF_HOUR = 1800

RELAY_DISCONNECTED, RELAY_CONNECTED = 301, 302


def _log(number: int, window: int, chance: int, *episodes: Episode) -> EventLog:
    name, code = (parse_obis(f"0-0:{place}.{number}.255") for place in ("99.98", "96.11"))
    return EventLog(name, code, window, chance, episodes)


VOLTAGE_LOG = _log(0, 6 * 3600, 64, Episode(7, 8, 600), Episode(9, 10, 900))
CURRENT_LOG = _log(1, 12 * 3600, 32, Episode(51, 52, 900), Episode(67, 68, 300))
POWER_LOG = _log(2, 4 * 3600, 64, Episode(101, 102, 3600))
TRANSACTION_LOG = _log(3, 24 * 3600, 24, Episode(151, 153, 60))
OTHER_LOG = _log(4, 12 * 3600, 24, Episode(201, 202, 7200), Episode(203, 204, 1800))
CONTROL_LOG = _log(6, 24 * 3600, 0, Episode(RELAY_DISCONNECTED, RELAY_CONNECTED, 60))
LOGS = (VOLTAGE_LOG, CURRENT_LOG, POWER_LOG, TRANSACTION_LOG, OTHER_LOG, CONTROL_LOG)

#: Which bit of the event status word is up while an episode that begins with this code lasts.
STATUS_BITS = {7: 3, 9: 4, 51: 6, 67: 11, 201: 81, 203: 82}


def _apparent(home: Household, at: int) -> int:
    return home.demand(at) * 10 // 9


def _tens(home: Household, at: int) -> int:
    """Return imported energy in 10 Wh: these meters count kWh with two places."""
    return home.imported(at) // 10


def _apparent_tens(home: Household, at: int) -> int:
    return home.imported(at) // 9


def _block(home: Household, at: int) -> int:
    return home.imported(at) - home.imported(at - HALF_HOUR)


def _registers(phases: int) -> dict[bytes, Register]:
    """Return the registers: the meter's own, and of others the voltages, currents and what has no direction."""
    kept = (name for name in REGISTERS[phases] if name[2] in {13, 14, 31, 32, 51, 52, 71, 72})
    voltage, current = (REGISTERS[1][parse_obis(name)] for name in ("1-0:32.7.0.255", "1-0:31.7.0.255"))
    found = [REGISTERS[phases][name] for name in kept]
    if phases == 1:
        found = [each for each in found if each.name not in {voltage.name, current.name}]
        found += [
            replace(voltage, name=parse_obis("1-0:12.7.0.255")),
            replace(current, name=parse_obis("1-0:11.7.0.255")),
            register("1-0:91.7.0.255", -2, AMPERE, current.value),
        ]
    found += [
        register("1-0:1.7.0.255", 0, WATT, Household.demand),
        register("1-0:9.7.0.255", 0, VOLT_AMPERE, _apparent),
        register("1-0:1.8.0.255", 1, WATT_HOUR, _tens),
        register("1-0:9.8.0.255", 1, VOLT_AMPERE_HOUR, _apparent_tens),
        register("1-0:1.29.0.255", 0, WATT_HOUR, _block),
        register("1-0:12.27.0.255", -1, VOLT, voltage.value),
    ]
    return {each.name: each for each in found}


def _columns(*names: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(3, parse_obis(name)) for name in names)


def _profiles(phases: int) -> dict[bytes, SimProfile]:
    momentary = tuple(Attribute(3, name) for name in REGISTERS_OF[phases] if name[3] in {7, 8})
    of_events = _columns("1-0:1.8.0.255")
    profiles = (
        SimProfile(INSTANTANEOUS, momentary, 0, DAY, momentary=True),
        SimProfile(BLOCK_LOAD, _columns("1-0:12.27.0.255", "1-0:1.29.0.255"), HALF_HOUR, 35 * DAY),
        SimProfile(DAILY_LOAD, _columns("1-0:1.8.0.255", "1-0:9.8.0.255"), DAY, 100 * DAY),
        SimProfile(BILLING, _columns("1-0:1.8.0.255", "1-0:9.8.0.255"), 0, 400 * DAY, time=BILLING_DATE),
        *(SimProfile(log.name, (Attribute(1, log.code), *of_events), 0, 400 * DAY, log) for log in LOGS),
    )
    scalers = (
        SimProfile(parse_obis(f"1-0:94.91.{number}.255"), of.columns, 0, DAY, scalers=True)
        for number, of in zip((3, 4, 5, 6), profiles, strict=False)
    )
    events = SimProfile(parse_obis("1-0:94.91.7.255"), of_events, 0, DAY, scalers=True)
    return {each.name: each for each in (*profiles, *scalers, events)}


REGISTERS_OF = {phases: _registers(phases) for phases in (1, 3)}
PROFILES_OF = {phases: _profiles(phases) for phases in (1, 3)}
