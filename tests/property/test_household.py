"""The load model: energy never falls, power is its slope, and a home is itself whatever was asked before."""

from hypothesis import given
from hypothesis import strategies as st

from sim.household import DAY, INSTALLED, SLOT, Channel, Household

#: From before the installation until after 2038 and 2106, where narrower clocks end.
moments = st.integers(INSTALLED - DAY, 2**32 + 30 * 365 * DAY)
homes = st.builds(Household, st.integers(0, 50), st.sampled_from(["M0001", "M0002", "M0999"]), st.booleans())
channels = st.sampled_from(list(Channel))


@given(homes, channels, moments, st.integers(0, 400 * DAY))
def test_energy_never_falls(home: Household, channel: Channel, at: int, later: int) -> None:
    assert 0 <= home.energy(channel, at) <= home.energy(channel, at + later)


@given(homes, channels, st.integers(INSTALLED // SLOT, 2**32 // SLOT))
def test_power_is_the_slope_of_energy_within_a_slot(home: Household, channel: Channel, slot: int) -> None:
    at = slot * SLOT
    gained = home.energy(channel, at + SLOT) - home.energy(channel, at)
    assert abs(gained - home.power(channel, at) * SLOT / 3600) <= 1.5


@given(homes, st.integers(INSTALLED // DAY, 2**32 // DAY))
def test_every_day_is_a_believable_one(home: Household, day: int) -> None:
    used = home.imported((day + 1) * DAY) - home.imported(day * DAY)
    fed = home.energy(Channel.EXPORT, (day + 1) * DAY) - home.energy(Channel.EXPORT, day * DAY)
    assert 1_500 < used < 31_000
    assert (500 < fed < 17_000) if home.solar else fed == 0


@given(homes, moments)
def test_a_home_never_imports_and_exports_at_once(home: Household, at: int) -> None:
    assert home.demand(at) == 0 or home.power(Channel.EXPORT, at) == 0


@given(homes, moments)
def test_tariffs_add_up(home: Household, at: int) -> None:
    assert home.imported(at) == home.energy(Channel.PEAK, at) + home.energy(Channel.OFF_PEAK, at)
    assert home.power(Channel.PEAK, at) == 0 or home.power(Channel.OFF_PEAK, at) == 0


@given(homes, channels, moments, moments)
def test_the_answer_depends_on_the_question_alone(home: Household, channel: Channel, at: int, other: int) -> None:
    before = home.energy(channel, at)
    home.energy(channel, other)
    assert Household(home.seed, home.meter, home.solar).energy(channel, at) == before


def test_evenings_are_peak_and_afternoons_are_not() -> None:
    day = (INSTALLED // DAY + 500) * DAY
    homes_of_a_street = [Household(7, f"M{n}") for n in range(100)]
    evening = sum(home.demand(day + 21 * 3600) for home in homes_of_a_street)
    afternoon = sum(home.demand(day + 17 * 3600) for home in homes_of_a_street)
    assert 2 * evening > 3 * afternoon


def test_two_homes_and_two_seeds_differ() -> None:
    at = INSTALLED + 100 * DAY + 12345
    readings = {Household(seed, meter).imported(at) for seed in (1, 2) for meter in ("M1", "M2")}
    assert len(readings) == 4
