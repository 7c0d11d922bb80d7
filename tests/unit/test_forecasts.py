"""What a configuration will need of its lines, and what is said when that is too much."""

from dcu.config import Config
from dcu.forecasts import forecasts, warnings
from dcu.plan.airtime import Forecast
from dcu.profiles import load_profile
from tests.configurations import good, parsed

IDIS = {"idis": load_profile("idis")}
LINE = "  - {id: M0001, bus: rs485-1, address: 17, access: reader, profile: idis}\n"


def crowded(count: int, task: str = "instant: {every: 5m}") -> Config:
    lines = "".join(LINE.replace("17", f"{n + 17}").replace("M0001", f"N{n:04d}") for n in range(count))
    return parsed(good(LINE, lines).replace("instant: {every: 5m}", task))


def expected(config: Config) -> dict[str, Forecast]:
    return forecasts(config, config.meters, IDIS.__getitem__)


def found(config: Config) -> Forecast:
    return expected(config)["rs485-1"]


def test_only_lines_have_a_time_to_share() -> None:
    assert expected(parsed(good())).keys() == {"rs485-1"}


def test_twice_the_meters_need_twice_the_time() -> None:
    assert found(crowded(200)).share == 2 * found(crowded(100)).share > 0


def test_what_a_meter_of_this_kind_does_not_have_costs_nothing() -> None:
    without = found(crowded(10))
    assert found(crowded(10, "instant: {every: 5m}\n  event.fraud: {every: 5m}")).share > without.share
    # no such stream in the profile, and nobody asks for it
    assert found(crowded(10, "instant: {every: 5m}\n  daily: {every: 5m}")).sweeps.keys() == {
        "instant",
        "load0",
        "daily",
    }


def test_a_group_has_its_own_timetable() -> None:
    config = parsed(
        good("profile: idis}\n", "profile: idis, group: quiet}\n")
        + "groups: {quiet: {timetable: {instant: {every: never}}}}\n"
    )
    assert found(config).sweeps.keys() == {"load0"}


def test_a_day_at_midnight_is_one_visit() -> None:
    assert found(crowded(1, "daily: {at: '00:10'}")).visits == 1 + 96


def test_a_line_that_fits_gives_no_warning() -> None:
    assert warnings(expected(crowded(50))) == []


def test_a_line_that_is_too_full_is_named_with_the_stream_that_suffers() -> None:
    first, second, *_ = warnings(expected(crowded(600)))
    assert first.startswith("bus rs485-1: the timetable needs ")
    assert "asking every meter for instant takes" in second
