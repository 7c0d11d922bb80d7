"""A meter that has failed: rest, rank, and when it is unreachable."""

from dcu.model import Priority
from dcu.plan.failing import DEAD_AFTER, FIRST_REST, NO_MORE, REST_CAP, Failing, More
from dcu.plan.needs import LAG, NOTHING, Due, Need

DUE = Due({"load0": Need(0.0, Priority.SCHEDULED, 120.0)}, 0.0)


def failing(times: int = 1, now: float = 10.0) -> Failing:
    meter = Failing(DUE, NO_MORE)
    for _ in range(times):
        meter.failed(now)
    return meter


def test_a_rest_doubles_up_to_the_cap() -> None:
    assert [failing(times).rest_until - 10.0 for times in (1, 2, 3)] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert failing(3000).rest_until - 10.0 == REST_CAP


def test_a_retry_goes_behind_what_is_scheduled_until_more_has_fallen_due() -> None:
    meter = failing()
    assert meter.rank() == (Priority.BACKFILL, 10.0 + LAG[Priority.BACKFILL])
    meter.due = DUE.plus({"load0": Need(900.0, Priority.SCHEDULED, 1020.0)}, 900.0)
    assert meter.rank() == (Priority.SCHEDULED, 120.0)


def test_a_probe_stays_behind_whatever_falls_due() -> None:
    meter = failing(DEAD_AFTER)
    meter.due = DUE.plus({"load0": Need(900.0, Priority.SCHEDULED, 1020.0)}, 900.0)
    assert meter.dead
    assert meter.rank()[0] is Priority.BACKFILL


def test_further_rows_keep_the_age_of_the_first() -> None:
    more = More(("load0",), 5.0).plus(["load1", "load0"], 9.0)
    assert more == More(("load0", "load1"), 5.0)
    assert more.without(["load0"]) == More(("load1",), 5.0)
    assert Failing(NOTHING, more).owes
    assert not Failing(NOTHING, NO_MORE).owes
