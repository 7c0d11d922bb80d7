"""The prediction of a line's time: its arithmetic, and how it compares with what a simulated line measures."""

import pytest

from bench.wire import line_time
from dcu.model import Access, Authentication, Task
from dcu.plan.airtime import DAY, Airtime, Group, Size, associated, forecast, visit
from dcu.profiles import load_profile
from sim.collecting import Collecting, play, setup_of
from sim.fleet import FleetPlan

LLS = Access("reader", authentication=Authentication.LLS)
GMAC = Access("management", authentication=Authentication.HLS_GMAC, ciphered=True)
REGISTERS = Size(registers=10)
ROWS = Size(rows=4, values=5)


def test_line_time_is_octets_and_turns() -> None:
    assert Airtime(960, 3).seconds(9600, 0.02) == pytest.approx(1.06)
    assert (Airtime(1, 2) + Airtime(3, 4)) * 2 == Airtime(8, 12)


def test_a_proof_by_keys_and_ciphering_cost_more() -> None:
    assert associated(GMAC).octets > associated(LLS).octets > 0
    assert associated(GMAC).turns == associated(LLS).turns + 1
    assert (
        visit(GMAC, [REGISTERS]).octets - associated(GMAC).octets
        > visit(LLS, [REGISTERS]).octets - associated(LLS).octets
    )


def test_a_long_answer_costs_turns_of_the_line() -> None:
    day = Size(rows=96, values=5)
    assert visit(LLS, [day]).turns > visit(LLS, [ROWS]).turns


def test_what_is_due_at_one_second_shares_a_visit() -> None:
    together = {Task("instant", 900): REGISTERS, Task("load0", 900): ROWS}
    apart = {Task("instant", 900): REGISTERS, Task("load0", 900, offset=60): ROWS}
    once = forecast([Group(100, LLS, together)], 9600)
    twice = forecast([Group(100, LLS, apart)], 9600)
    assert once.visits == 100 * 96
    assert twice.visits == 2 * once.visits
    assert twice.share > once.share


def test_what_is_due_every_month_counts_by_its_share_of_a_day() -> None:
    found = forecast([Group(30, LLS, {Task("billing", 30 * DAY): Size(rows=1, values=5)})], 9600)
    assert found.visits == pytest.approx(1.0)


def test_a_line_that_is_too_slow_is_told_by_share_and_by_the_stream_that_comes_late() -> None:
    tasks = {Task("instant", 300): REGISTERS, Task("load0", 900): ROWS}
    fits = forecast([Group(200, LLS, tasks)], 9600)
    late = forecast([Group(1024, LLS, tasks)], 9600)
    assert fits.fits
    assert not late.fits
    assert late.share > 1
    assert late.late == ("instant",)
    assert late.sweeps["instant"] == pytest.approx(fits.sweeps["instant"] * 1024 / 200)


def test_no_meters_need_no_time() -> None:
    assert forecast([], 9600).share == 0
    assert forecast([], 9600).fits


@pytest.mark.parametrize("hls", [0, 256])
def test_the_prediction_is_near_what_a_line_measures(tmp_path_factory: pytest.TempPathFactory, hls: int) -> None:
    hours = 4
    registers = len(load_profile("idis").registers)
    # the rows fall due five seconds later, when hardly a meter has been visited
    sizes = {Task("instant", 900): Size(registers=registers), Task("load0", 900): Size(rows=1, values=5)}
    access = GMAC if hls else LLS

    async def scenario(site: Collecting) -> float:
        await site.collect(3600)  # the shapes are learned, the backlog is read
        (bus,) = site.fleet.wires
        before = line_time(bus.counters)
        await site.collect(hours * 3600)
        return line_time(bus.counters) - before

    plan = FleetPlan(meters=60, buses=1, hls=hls)
    timetable = {"instant": (900, 0), "load0": (900, 3600)}
    measured = play(setup_of(plan, timetable), tmp_path_factory.mktemp("site"), scenario, origin=1_790_000_100.0)
    predicted = forecast([Group(60, access, sizes)], 9600).share * hours * 3600
    assert 0.7 < predicted / measured < 1.4
