from itertools import pairwise

import pytest

from dcu.model import Attribute
from dcu.obis import parse_obis
from sim.events import DISCONNECTOR, REMOTE_CONNECTION, REMOTE_DISCONNECTION, STANDARD
from sim.household import DAY, INSTALLED
from sim.meter import RELAY_HISTORY, STATUS_POWER_DOWN, Rows
from sim.profiles import LOAD_0, STATUS_DAILY, STATUS_LOAD_0
from tests.unit.sim.conversation import meter

AT = INSTALLED + 900 * DAY


def test_its_clock_is_off_and_drifts() -> None:
    late = meter(clock_offset=-30.0, clock_drift=2.0)
    assert late.clock_at(INSTALLED) == INSTALLED - 30
    assert late.clock_at(INSTALLED + 100 * DAY) == INSTALLED + 100 * DAY + 170
    assert meter().clock_at(AT + 0.999) == AT


def test_two_meters_are_told_apart_by_identity_and_title() -> None:
    one, other = meter(), meter(id="M0002")
    assert one.title != other.title
    assert len(one.title) == 8
    assert not set(one.identity.values()) & set(other.identity.values()) - {b"sim 1-phase 1.0"}


def test_the_profile_status_remembers_a_power_cut_for_its_period() -> None:
    simulated = meter()
    down = next(at for at, code in STANDARD.between(1, "M0001", AT, AT + 60 * DAY) if code == 1)
    quarter = -(-down // 900) * 900
    assert simulated.value(Attribute(1, STATUS_LOAD_0), quarter) == STATUS_POWER_DOWN
    assert simulated.value(Attribute(1, STATUS_DAILY), -(-down // DAY) * DAY) == STATUS_POWER_DOWN
    assert {simulated.value(Attribute(1, STATUS_LOAD_0), AT + n * 900) for n in range(960)} == {0, STATUS_POWER_DOWN}


def test_a_code_object_holds_the_last_event() -> None:
    simulated = meter()
    events = STANDARD.between(1, "M0001", AT, AT + 30 * DAY)
    for (at, code), (following, _) in pairwise(events):
        assert simulated.value(Attribute(1, STANDARD.code), at) == code
        assert simulated.value(Attribute(1, STANDARD.code), following - 1) == code


def test_before_any_event_the_code_is_zero() -> None:
    first = DISCONNECTOR.between(1, "M0001", INSTALLED, AT)[0][0]
    assert meter().value(Attribute(1, DISCONNECTOR.code), first - 1) == 0
    assert meter().value(Attribute(1, DISCONNECTOR.code), first) != 0


def test_an_unknown_object_has_no_value() -> None:
    with pytest.raises(KeyError):
        meter().value(Attribute(3, parse_obis("1-0:99.99.0.255")), AT)


def test_a_profile_forgets_what_is_older_than_it_keeps() -> None:
    simulated = meter()
    profile = simulated.profiles[LOAD_0]
    rows = simulated.rows(profile, Rows(), AT)
    assert rows[0] == AT - profile.keep
    assert rows[-1] == AT
    assert simulated.rows(profile, Rows(start=AT - 900, end=AT + 10 * DAY), AT + 5)[-1] == AT


def test_rows_by_entry_count_from_one() -> None:
    simulated = meter()
    profile = simulated.profiles[LOAD_0]
    rows = list(simulated.rows(profile, Rows(), AT))
    assert list(simulated.rows(profile, Rows(first=2, last=4), AT)) == rows[1:4]
    assert list(simulated.rows(profile, Rows(first=len(rows)), AT)) == rows[-1:]


def test_what_is_done_to_the_relay_is_an_event() -> None:
    simulated = meter()
    log = simulated.profiles[DISCONNECTOR.name]
    before = list(simulated.times(log, AT, AT + DAY))
    simulated.relay.switch(AT + 100, connected=False)
    simulated.relay.switch(AT + 100, connected=True)
    assert simulated.relay.connected
    assert sorted(simulated.times(log, AT, AT + DAY)) == sorted([*before, AT + 100, AT + 101])
    codes = [simulated.value(Attribute(1, DISCONNECTOR.code), at) for at in (AT + 100, AT + 101)]
    assert codes == [REMOTE_DISCONNECTION, REMOTE_CONNECTION]


def test_the_relay_remembers_a_bounded_history() -> None:
    simulated = meter()
    for second in range(RELAY_HISTORY + 10):
        simulated.relay.switch(AT + second, connected=second % 2 == 0)
    assert len(simulated.relay.history) == RELAY_HISTORY
