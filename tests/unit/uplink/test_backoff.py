import random

from dcu.uplink.backoff import Backoff


def test_delays_grow_within_bounds_and_differ_between_devices() -> None:
    fleet = [Backoff(base=1.0, cap=60.0, dice=random.Random(seed)) for seed in range(50)]
    for _ in range(20):
        delays = [each.delay() for each in fleet]
        assert all(1.0 <= delay <= 60.0 for delay in delays)
    assert max(delays) - min(delays) > 20
    assert len({round(delay, 6) for delay in delays if delay < 60}) > 10


def test_each_delay_is_at_most_three_times_the_one_before() -> None:
    backoff = Backoff(dice=random.Random(1))
    last = backoff.delay()
    assert last <= 3.0
    for _ in range(50):
        following = backoff.delay()
        assert following <= max(1.0, 3 * last)
        last = following


def test_who_is_held_off_draws_from_the_whole_range() -> None:
    delays = []
    for seed in range(200):
        backoff = Backoff(base=1.0, cap=60.0, dice=random.Random(seed))
        backoff.hold()
        delays.append(backoff.delay())
    assert 1.0 <= min(delays) < 5
    assert 55 < max(delays) <= 60.0


def test_a_reset_begins_again() -> None:
    backoff = Backoff(base=1.0, cap=100.0, dice=random.Random(2))
    for _ in range(30):
        backoff.delay()
    backoff.reset()
    assert backoff.delay() <= 3.0
