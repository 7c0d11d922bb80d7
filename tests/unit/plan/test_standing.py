"""How far streams are read, as it is remembered between two visits."""

from dcu.model import Reason
from dcu.plan.ledger import Account, Gap
from dcu.plan.standing import Standing

KEY = ("M1", "load0")
WAITS = (Gap(900, 1800, Reason.PENDING),)


def test_what_was_kept_is_where_it_goes_on() -> None:
    standing = Standing({KEY: 1000, ("M2", "daily"): 5}, {KEY: WAITS})
    assert (standing.mark(*KEY), standing.mark("M2", "load0"), standing.pending(*KEY)) == (1000, None, WAITS)
    assert standing.of("M1") == {"load0": 1000}
    assert set(standing.streams) == {"load0", "daily"}


def test_what_was_never_asked_for_begins_where_it_is_expected() -> None:
    standing = Standing({KEY: 1000}, {})
    standing.expect("load0", 500, ["M1", "M2"])
    assert [standing.mark(meter, "load0") for meter in ("M1", "M2")] == [1000, 499]


def test_another_device_is_read_as_far_back_as_a_new_one_but_from_when_the_last_one_was_seen() -> None:
    standing = Standing({KEY: 1000, ("M1", "daily"): 500, ("M1", "list"): 700, ("M2", "load0"): 9000}, {})
    assert standing.anew("M1", 5000, {"load0": 3000, "daily": 9000, "event": 10}) == {"load0": 2000, "daily": 1001}
    assert standing.anew("M1", 1000, {"load0": 900}) == {}
    assert standing.anew("M3", 1000, {"load0": 900}) == {}


def test_it_follows_the_accounts_back_too() -> None:
    standing = Standing({KEY: 1000}, {KEY: WAITS})
    standing.follow({KEY: Account(0, 900, 900)})
    assert (standing.mark(*KEY), standing.pending(*KEY)) == (900, ())
    standing.follow({KEY: Account(0, 900, None, WAITS)})
    assert (standing.mark(*KEY), standing.pending(*KEY)) == (900, WAITS)
    standing.forgo("M1")
    assert standing.pending(*KEY) == ()


def test_meters_that_are_read_up_to_the_same_moment_have_one_number_for_it() -> None:
    standing = Standing({}, {})
    for meter in ("M1", "M2"):
        standing.move({(meter, "load0"): int("1790000000")})
    assert standing.mark("M1", "load0") is standing.mark("M2", "load0")
