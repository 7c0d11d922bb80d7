"""What was tampered with, repeated, sent to another or is stale is not accepted, what is good is; `bench faults`."""

import pytest

from bench import tampering
from bench.tampering import accepted
from dcu.dlms.security import Cipher

ROUNDS = 3


def test_nothing_is_accepted_that_must_not_be() -> None:
    offered, wrong = accepted(ROUNDS)
    assert offered > ROUNDS * 400
    assert wrong == 0


def test_the_measure_tells_a_client_that_does_not_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cipher, "unprotect", lambda _, apdu: apdu)
    assert accepted(ROUNDS)[1] > ROUNDS * 100


def test_the_measure_tells_a_client_that_refuses_what_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tampering, "_heard", lambda _: False)
    assert accepted(ROUNDS)[1] == ROUNDS
