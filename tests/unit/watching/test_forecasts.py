"""What a configuration will need of its lines, and what is said when that is too much."""

from dataclasses import replace
from unittest.mock import Mock

import pytest

from dcu.clock import DAY
from dcu.config import Config
from dcu.plan import airtime
from dcu.plan.airtime import ENOUGH, Forecast, Measured
from dcu.profiles import load_profile
from dcu.watching.forecasts import forecasts, warnings
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


def test_a_bus_in_the_network_waits_for_its_round_trips_whatever_its_rate() -> None:
    config = parsed(good())
    assert expected(config).keys() == {bus.name for bus in config.buses}
    (gateway,) = (bus for bus in config.buses if bus.on_network)
    moved = replace(config, meters=tuple(replace(each, bus=gateway.name) for each in config.meters))
    share = expected(moved)[gateway.name].share
    assert share > 0
    slow = replace(moved, buses=tuple(replace(bus, baud=300) for bus in moved.buses))
    assert expected(slow)[gateway.name].share == share


def test_what_visits_took_goes_before_what_they_ought_to_take() -> None:
    config = crowded(10)
    assert (found(config).basis, found(config).measured) == ("estimated", 0.0)
    measured = Measured()
    for _ in range(ENOUGH):
        for streams in (["instant", "load0"], ["instant"], ["load0"]):
            measured.count(("reader", "idis", frozenset(streams)), 2.5, 900.0)
    forecast = forecasts(config, config.meters, IDIS.__getitem__, {"rs485-1": measured})["rs485-1"]
    assert (forecast.basis, forecast.measured) == ("measured", 1.0)
    assert forecast.share == pytest.approx(forecast.visits * 2.5 / DAY)
    assert forecast.octets == pytest.approx(forecast.visits * 900)


def test_a_thousand_gateways_with_a_meter_each_are_reckoned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parsed(good())
    line, meter = config.buses[1], config.meters[0]
    buses = tuple(replace(line, name=f"g{n}") for n in range(1000))
    many = replace(config, buses=buses, meters=tuple(replace(meter, id=f"N{n}", bus=f"g{n}") for n in range(1000)))
    reckoned = Mock(side_effect=airtime.foresee)
    monkeypatch.setattr(airtime, "foresee", reckoned)
    assert len(expected(many)) == 1000
    assert reckoned.call_count == 1


def test_twice_the_meters_need_twice_the_time() -> None:
    together = "instant: {every: 5m, offset: 60s}"
    assert found(crowded(200, together)).share == pytest.approx(2 * found(crowded(100, together)).share)
    # what falls due a minute later meets meters that have not been read yet
    assert found(crowded(100)).share < found(crowded(200)).share < 2 * found(crowded(100)).share


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
