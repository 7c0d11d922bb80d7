"""The load of one home: power and energy as pure functions of (seed, meter, time), from appliances and their hours.

Nothing here knows DLMS, meters' clocks or lines. All arithmetic that reaches a register is in integers, so that every
machine computes the same Wh.
"""

import hashlib
import math
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate

DAY = 86_400
SLOT = 900
SLOTS = DAY // SLOT

#: 2024-01-01: every meter was installed then, with all its registers at zero.
INSTALLED = 1_704_067_200

#: Relative use of a home by hour of the day (field facts, "units by hours").
HOURS = (
    (390,) * 5 + (166,) + (126,) * 2 + (161,) * 2 + (143,) * 2 + (123,) * 3 + (102,) * 3 + (254,) + (446,) * 4 + (390,)
)

#: Quarter hours of the evening peak tariff, 18:00 to 23:00.
PEAK = range(72, 92)

#: Quarter hours with sun, 06:00 to 18:00, and the one in which a home with solar cells always exports.
SUN = range(24, 72)
NOON = 48

#: A relative weight of the cells at noon against a home's mean slot; chosen so that a sunny day exports for hours.
SUN_PEAK = 4


@dataclass(frozen=True, slots=True)
class Appliance:
    """One appliance: its share of the home's energy (source's units), when it may run, and for how many slots.

    `slots` 0 means it follows the home's hours within `hours`; otherwise it runs once a day for so many quarter hours.
    """

    name: str
    units: int
    hours: range = range(24)
    slots: int = 0


APPLIANCES = (
    Appliance("air-conditioner", 288),
    Appliance("refrigerator", 96),
    Appliance("aquarium", 5),
    Appliance("ceiling fan", 21),
    Appliance("lighting", 10, range(18, 24)),
    Appliance("computer", 27, range(8, 23)),
    Appliance("laptop", 9, range(17, 24)),
    Appliance("radio", 1, range(6, 10)),
    Appliance("hair dryer", 24, range(6, 8), 1),
    Appliance("rice cooker", 54, range(11, 20), 2),
    Appliance("vacuum cleaner", 59, range(9, 18), 2),
    Appliance("washing machine", 41, range(8, 20), 5),
)


class Channel(IntEnum):
    """What a meter counts separately: import in two tariffs, and export."""

    PEAK = 0
    OFF_PEAK = 1
    EXPORT = 2


def noise(*key: object) -> int:
    """Return 64 bits that depend on nothing but `key`."""
    text = "/".join(map(str, key))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _noise_bytes(count: int, *key: object) -> bytes:
    return hashlib.shake_128("/".join(map(str, key)).encode()).digest(count)


@dataclass(frozen=True, slots=True)
class Household:
    """One home. `power` in W and `energy` in Wh at any second of UTC; energy never falls, and costs O(1)."""

    seed: int
    meter: str
    solar: bool = False

    def energy(self, channel: Channel, at: int) -> int:
        """Return the Wh counted on `channel` from the installation until `at`."""
        day, second = divmod(max(at - INSTALLED, 0), DAY)
        start, growth, curve = _day(self, day)[channel]
        slot, rest = divmod(second, SLOT)
        done = curve[slot] * SLOT + (curve[slot + 1] - curve[slot]) * rest
        return start + growth * done // (curve[SLOTS] * SLOT)

    def power(self, channel: Channel, at: int) -> int:
        """Return the W flowing on `channel` at `at`, the slope of its energy."""
        day, second = divmod(max(at - INSTALLED, 0), DAY)
        _, growth, curve = _day(self, day)[channel]
        slot = second // SLOT
        return growth * (curve[slot + 1] - curve[slot]) * 3600 // (curve[SLOTS] * SLOT)

    def imported(self, at: int) -> int:
        """Return the Wh drawn from the grid, both tariffs."""
        return self.energy(Channel.PEAK, at) + self.energy(Channel.OFF_PEAK, at)

    def demand(self, at: int) -> int:
        """Return the W drawn from the grid."""
        return self.power(Channel.PEAK, at) + self.power(Channel.OFF_PEAK, at)


#: Wh at the start of a day, Wh of that day, and the running sum of its slots' weights (SLOTS + 1 numbers).
_Course = tuple[int, int, tuple[int, ...]]


@lru_cache(maxsize=4096)
def _day(home: Household, day: int) -> tuple[_Course, _Course, _Course]:
    """Return one day's course of all three channels. Bounded: today and yesterday of more meters than a DCU has."""
    load = _load(home, day)
    # load and sun are balanced slot by slot before they are counted, as a meter with one measuring element does it
    net = [use - sun for use, sun in zip(load, _sun(home, day, sum(load)), strict=True)]
    if home.solar:
        # a day without any export would leave the day's exported Wh no slot to flow in
        net[NOON] = min(net[NOON], -1)
    drawn = [max(weight, 0) for weight in net]
    peak = [weight if slot in PEAK else 0 for slot, weight in enumerate(drawn)]
    off_peak = [0 if slot in PEAK else weight for slot, weight in enumerate(drawn)]
    # without cells nothing flows whatever the weights, but their sum is divided by
    fed = [max(-weight, 0) for weight in net] if home.solar else [1] * SLOTS
    return (
        _course(_totals(home, day, Channel.PEAK), peak),
        _course(_totals(home, day, Channel.OFF_PEAK), off_peak),
        _course(_totals(home, day, Channel.EXPORT), fed),
    )


def _course(totals: tuple[int, int], weights: list[int]) -> _Course:
    start, end = totals
    return start, end - start, tuple(accumulate(weights, initial=0))


def _totals(home: Household, day: int, channel: Channel) -> tuple[int, int]:
    """Return the Wh at the start and at the end of `day`: a closed form, so that no earlier day has to be added up."""
    if channel is Channel.EXPORT:
        mean = 4_000 + noise(home.seed, home.meter, "cells") % 6_000 if home.solar else 0
        return _until(home, day, mean, season=-15), _until(home, day + 1, mean, season=-15)
    mean = 6_000 + noise(home.seed, home.meter, "mean") % 12_000
    share = 300 + noise(home.seed, home.meter, "peak") % 200
    totals = _until(home, day, mean, season=20), _until(home, day + 1, mean, season=20)
    # a fixed share of a total that never falls never falls, nor does the rest: both tariffs keep a closed form
    evening = totals[0] * share // 1000, totals[1] * share // 1000
    if channel is Channel.PEAK:
        return evening
    return totals[0] - evening[0], totals[1] - evening[1]


def _until(home: Household, day: int, mean: int, season: int) -> int:
    """Return the Wh of the first `day` days at `mean` Wh per day.

    The year swings by season · 2π/365 (at most 35 %), and each midnight is displaced by up to 30 % of a day: with less
    than a whole day in sum, so that every day's energy is positive.
    """
    swing = round(season * 1000 * math.sin(2 * math.pi * day / 365.25))
    jitter = noise(home.seed, home.meter, "day", day) % 300 if day else 0
    return mean * (day * 1000 + swing + jitter) // 1000


def _load(home: Household, day: int) -> list[int]:
    """Return the weight of each quarter hour: the standing appliances' curve, roughened, plus those that ran today."""
    rough = _noise_bytes(SLOTS, home.seed, home.meter, "load", day)
    load = [weight * (128 + byte) // 256 for weight, byte in zip(_standing(home.seed, home.meter), rough, strict=True)]
    for appliance in APPLIANCES:
        if appliance.slots:
            first = noise(home.seed, home.meter, appliance.name, day) % (len(appliance.hours) * 4)
            start = appliance.hours.start * 4 + first
            for slot in range(start, start + appliance.slots):
                load[slot] += appliance.units * 1000 // appliance.slots
    return load


@lru_cache(maxsize=1024)
def _standing(seed: int, meter: str) -> tuple[int, ...]:
    """Return the curve of the appliances that run for hours; the refrigerator is in every home, others in most."""
    curve = [0] * SLOTS
    for appliance in APPLIANCES:
        owned = appliance.name == "refrigerator" or noise(seed, meter, "owns", appliance.name) % 8
        if appliance.slots or not owned:
            continue
        total = sum(HOURS[hour] for hour in appliance.hours)
        for hour in appliance.hours:
            for slot in range(hour * 4, hour * 4 + 4):
                curve[slot] += appliance.units * 250 * HOURS[hour] // total
    return tuple(curve)


def _sun(home: Household, day: int, load: int) -> list[int]:
    """Return the weight of the solar cells per slot: a parabola over the daylight, roughened by clouds."""
    if not home.solar:
        return [0] * SLOTS
    clouds = _noise_bytes(SLOTS, home.seed, home.meter, "clouds", day)
    peak = SUN_PEAK * load // SLOTS
    half = len(SUN) // 2
    return [
        peak * (half * half - (slot - NOON) ** 2) * (160 + clouds[slot] % 96) // (half * half * 256)
        if slot in SUN
        else 0
        for slot in range(SLOTS)
    ]
