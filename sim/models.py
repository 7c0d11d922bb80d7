"""The kinds of simulated meters: which registers, profiles, logs and codes each has, all shared by its meters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dcu.obis import parse_obis
from sim import events, india, profiles, registers
from sim.events import EventLog
from sim.profiles import SimProfile
from sim.registers import Register

IDIS, INDIAN = "idis", "is15959"

ALARM_REGISTER = parse_obis("0-0:97.98.0.255")
#: Bit of the alarm register that is up while an episode of fraud lasts.
FRAUD_ALARM = 13


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of meter with so many phases. `relay` are the codes of its disconnection and connection in `relay_log`.

    `conditions` is the object whose bits are up while an episode of a log lasts: bit by the code it begins with; in a
    `word` of so many bits, or 0: in a number. `code_octets` is how long the number of an event is.
    """

    registers: Mapping[bytes, Register]
    profiles: Mapping[bytes, SimProfile]
    relay_log: EventLog
    relay: tuple[int, int]
    conditions: bytes
    bits: Mapping[int, int]
    word: int = 0
    code_octets: int = 1

    @property
    def logs(self) -> tuple[EventLog, ...]:
        return tuple(profile.log for profile in self.profiles.values() if profile.log)


def _idis(phases: int) -> Model:
    return Model(
        registers.REGISTERS[phases],
        profiles.PROFILES[phases],
        events.DISCONNECTOR,
        (events.REMOTE_DISCONNECTION, events.REMOTE_CONNECTION),
        ALARM_REGISTER,
        {episode.begin: FRAUD_ALARM for episode in events.FRAUD.episodes},
    )


def _indian(phases: int) -> Model:
    return Model(
        india.REGISTERS_OF[phases],
        india.PROFILES_OF[phases],
        india.CONTROL_LOG,
        (india.RELAY_DISCONNECTED, india.RELAY_CONNECTED),
        india.EVENT_STATUS_WORD,
        india.STATUS_BITS,
        word=128,
        code_octets=2,
    )


#: By kind and number of phases.
MODELS: Final = {(kind, phases): make(phases) for kind, make in ((IDIS, _idis), (INDIAN, _indian)) for phases in (1, 3)}
