"""What a companion profile says about its meters, as frozen data. Reading it from YAML is in `load`."""

from collections.abc import Mapping
from dataclasses import dataclass

from dcu.model import Attribute, EventCode


@dataclass(frozen=True, slots=True)
class ProfileStream:
    """One profile object (class 7) of the meter: its logical name, and the seconds between two rows.

    `period` is None where rows are not evenly spaced: calendar months, events.
    """

    name: bytes
    period: int | None = None


@dataclass(frozen=True, slots=True)
class CompanionProfile:
    """The objects of one kind of meter.

    `registers` are the instantaneous values of the stream `INSTANT`; a meter that lacks one of them (the phases L2 and
    L3 of a single-phase meter) answers with an access error for that one. `streams` are the profile objects by stream
    name, `event_codes` the codes of each event stream.
    """

    name: str
    clock: Attribute
    disconnect: Attribute
    identity: tuple[Attribute, ...]
    registers: tuple[Attribute, ...]
    streams: Mapping[str, ProfileStream]
    event_codes: Mapping[str, Mapping[int, EventCode]]
