"""When what the head-end leaves without a word is sent again."""

from dcu.delivery.awaiting import CAP, MAX_AWAITED, Awaiting


def test_the_oldest_is_sent_again_ever_more_patiently_until_a_word_comes() -> None:
    awaiting = Awaiting(600.0)
    for seq in (5, 6, 7):
        awaiting.add("load0", seq, 0.0)
    assert awaiting.overdue(599.0) is None
    assert awaiting.overdue(600.0) == ("load0", 5)
    assert awaiting.overdue(1799.0) is None
    assert awaiting.overdue(1800.0) == ("load0", 5)
    awaiting.acknowledge("load0", 5)
    assert awaiting.overdue(1800.0) == ("load0", 6), "somebody listens, and this one has waited for long"
    assert len(awaiting) == 2


def test_an_hour_is_the_most_between_two_repeats() -> None:
    awaiting, now, waits = Awaiting(600.0), 0.0, []
    awaiting.add("load0", 1, 0.0)
    for _ in range(8):
        began = now
        while awaiting.overdue(now) is None:
            now += 60.0
        waits.append(now - began)
    assert waits[:4] == [600.0, 1200.0, 2400.0, CAP]
    assert set(waits[4:]) == {CAP}


def test_more_patience_than_the_cap_is_kept() -> None:
    awaiting = Awaiting(86_400.0)
    awaiting.add("load0", 1, 0.0)
    assert awaiting.overdue(86_400.0) == ("load0", 1)
    assert awaiting.overdue(2 * 86_400.0 - 1.0) is None
    assert awaiting.overdue(2 * 86_400.0) == ("load0", 1)


def test_a_late_puback_of_what_the_head_end_has_is_no_news() -> None:
    awaiting = Awaiting(600.0)
    awaiting.acknowledge("load0", 7)
    awaiting.acknowledge("load0", 3)
    awaiting.add("load0", 7, 0.0)
    awaiting.add("load0", 8, 0.0)
    assert len(awaiting) == 1
    assert [awaiting.holds("load0", seq) for seq in (3, 7, 8, 9)] == [True, True, True, False]
    awaiting.forget()
    assert [awaiting.holds("load0", seq) for seq in (7, 8)] == [True, False]


def test_the_broker_s_word_is_never_overdue_and_what_is_awaited_is_bounded() -> None:
    awaiting = Awaiting()
    for seq in range(MAX_AWAITED):
        assert not awaiting.full("load0")
        awaiting.add("load0", seq, 0.0)
    assert awaiting.full("load0")
    assert not awaiting.full("load1")
    assert awaiting.overdue(1e9) is None
