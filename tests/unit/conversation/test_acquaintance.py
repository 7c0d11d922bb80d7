"""When a meter is asked who it is, and how much of it."""

from typing import Any

import pytest

from dcu.conversation.acquaintance import EXCHANGE_TAKES, Acquaintance
from dcu.conversation.recognition import RECOGNISE_EVERY, Asking

TITLE = b"SIM00001"


class Talk:
    """What is looked at of a conversation."""

    def __init__(self, title: bytes = b"", *, resumed: bool = False) -> None:
        self.title, self.resumed = title, resumed


def known(**said: str) -> Acquaintance:
    acquaintance = Acquaintance()
    acquaintance.recognised("M1", 0.0, said)
    return acquaintance


def asking(acquaintance: Acquaintance, now: float, talk: Any) -> Asking:
    return acquaintance.asking("M1", now, talk)


@pytest.mark.parametrize("talk", [Talk(), Talk(TITLE), Talk(resumed=True)])
def test_all_is_asked_once_a_day_and_of_a_meter_in_doubt(talk: Talk) -> None:
    assert asking(Acquaintance(), 0.0, talk) is Asking.ALL
    acquaintance = known(serial="4711", title=TITLE.hex())
    assert asking(acquaintance, RECOGNISE_EVERY, talk) is Asking.ALL
    acquaintance.doubt("M1")
    assert asking(acquaintance, 1.0, talk) is Asking.ALL


def test_a_doubt_leaves_only_when_the_meter_was_looked_at_last() -> None:
    acquaintance = known(serial="4711", title=TITLE.hex())
    acquaintance.recognised("M1", 5.0, {"serial": "4711"})
    acquaintance.doubt("M1")
    acquaintance.doubt("M2")
    assert (acquaintance.looked("M1"), acquaintance.looked("M2"), acquaintance.title("M1")) == (5.0, None, b"")
    acquaintance.recognised("M1", 9.0, {})
    assert acquaintance.looked("M1") == 9.0
    assert asking(acquaintance, 10.0, Talk()) is Asking.NOTHING
    acquaintance.forget("M1")
    assert acquaintance.looked("M1") is None


def test_the_number_is_asked_of_who_was_away_long_enough_to_be_exchanged() -> None:
    acquaintance = known(serial="4711")
    assert asking(acquaintance, EXCHANGE_TAKES - 1, Talk()) is Asking.NOTHING
    assert asking(acquaintance, EXCHANGE_TAKES, Talk()) is Asking.SERIAL
    acquaintance.heard("M1", EXCHANGE_TAKES)
    assert asking(acquaintance, EXCHANGE_TAKES + 1, Talk()) is Asking.NOTHING


def test_the_number_is_asked_of_who_did_not_answer_however_short_a_time_ago_it_did() -> None:
    acquaintance = known(serial="4711")
    acquaintance.missed(["M1", "M2"])
    assert asking(acquaintance, 1.0, Talk()) is Asking.SERIAL
    assert asking(acquaintance, 1.0, Talk(resumed=True)) is Asking.NOTHING
    acquaintance.heard("M1", 1.0)
    assert asking(acquaintance, 2.0, Talk()) is Asking.NOTHING


def test_who_proves_itself_is_not_asked() -> None:
    acquaintance = known(serial="4711", title=TITLE.hex())
    assert asking(acquaintance, 900.0, Talk(resumed=True)) is Asking.NOTHING
    assert asking(acquaintance, 900.0, Talk(TITLE)) is Asking.NOTHING
    assert asking(acquaintance, 900.0, Talk(TITLE[::-1])) is Asking.ALL


def test_a_title_that_was_never_told_before_proves_nothing() -> None:
    acquaintance = known(serial="4711")
    assert asking(acquaintance, 1.0, Talk(TITLE)) is Asking.ALL
    acquaintance.recognised("M1", 1.0, {"title": TITLE.hex()})
    assert asking(acquaintance, 2.0, Talk(TITLE)) is Asking.NOTHING


def test_who_tells_no_number_is_not_asked_for_it_again() -> None:
    assert asking(known(firmware="1.0"), 900.0, Talk()) is Asking.NOTHING


def test_another_number_does_not_fit_nor_does_none_where_there_was_one() -> None:
    acquaintance = known(serial="4711")
    assert [acquaintance.fits("M1", serial) for serial in ("4711", "4712", None)] == [True, False, False]
    assert acquaintance.fits("M2", "4711")


def test_a_number_is_remembered_when_another_client_is_not_told_it() -> None:
    acquaintance = known(serial="4711")
    acquaintance.recognised("M1", 5.0, {"firmware": "1.0"})
    assert acquaintance.fits("M1", "4711")


def test_a_title_is_remembered_when_the_next_conversation_tells_none() -> None:
    acquaintance = known(serial="4711", title=TITLE.hex())
    acquaintance.recognised("M1", 5.0, {"serial": "4711"})
    assert (acquaintance.title("M1"), acquaintance.title("M2")) == (TITLE, b"")
    acquaintance.heard("M2", 5.0)
