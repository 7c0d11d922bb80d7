from dcu.clock import iso
from sim.household import DAY, INSTALLED
from sim.profiles import BILLING, DAILY, LOAD_0, LOAD_1, PROFILES

NOON = INSTALLED + 800 * DAY + DAY // 2


def test_quarter_hours_include_both_ends() -> None:
    times = PROFILES[1][LOAD_0].times(NOON, NOON + 3600)
    assert list(times) == [NOON + n * 900 for n in range(5)]


def test_a_span_between_two_captures_holds_none() -> None:
    assert list(PROFILES[1][LOAD_0].times(NOON + 1, NOON + 899)) == []
    assert list(PROFILES[1][DAILY].times(NOON, NOON)) == []
    assert list(PROFILES[1][BILLING].times(NOON + 1, NOON)) == []


def test_days_end_at_midnight() -> None:
    assert [iso(at)[11:] for at in PROFILES[3][DAILY].times(NOON, NOON + 3 * DAY)] == ["00:00:00Z"] * 3


def test_months_end_on_the_first_also_beyond_2038() -> None:
    for start in (NOON, 2**31 - 40 * DAY):
        times = [iso(at) for at in PROFILES[1][BILLING].times(start, start + 400 * DAY)]
        assert len(times) == 13
        assert all(text.endswith("-01T00:00:00Z") for text in times)


def test_nothing_was_captured_before_the_installation() -> None:
    for profile in PROFILES[1].values():
        if profile.log is None:
            assert min(profile.times(0, INSTALLED + 90 * DAY)) >= INSTALLED


def test_three_phases_have_a_wider_quality_profile() -> None:
    assert len(PROFILES[3][LOAD_1].columns) == len(PROFILES[1][LOAD_1].columns) + 4
