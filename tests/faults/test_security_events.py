"""Every check of what a meter says, failed on its line: no capture, a count by what failed, and the event.

The octets of each lie are judged in unit/dlms; that neither set of secrets opens a meter is in test_rekey.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dcu.dlms.acse import AARE, AARQ, Aare
from dcu.dlms.apdu import encode_response
from dcu.dlms.security import Cipher
from dcu.dlms.services import SetResponse
from dcu.errors import Breach
from dcu.model import Ciphering
from sim import server
from sim.guard import Guard
from sim.virtual import VirtualClock
from tests.lines import CIPHERED, REGISTERS, TITLE, Box, virtually

#: What becomes of an answer, given all answers so far, this one the last.
Lie = Callable[[list[bytes]], bytes]


def _aare(**change: Any) -> Lie:
    return lambda said: replace(Aare.from_bytes(said[-1]), **change).to_bytes() if said[-1][0] == AARE else said[-1]


def _later(lie: Lie) -> Lie:
    """Lie once the association is open: after the AARE and the proof."""
    return lambda said: lie(said) if len(said) > 2 else said[-1]


LIES: dict[Breach, Lie] = {
    Breach.LENGTH: _later(lambda said: said[-1][:12]),
    Breach.PLAIN: _later(lambda _: encode_response(SetResponse(None), 3)),
    Breach.CONTROL: _later(lambda said: said[-1][:2] + said[-1][2:].replace(b"\x30", b"\x31", 1)),
    Breach.COUNTER: _later(lambda said: said[-2]),
    Breach.TAG: _later(lambda said: said[-1][:-1] + bytes((said[-1][-1] ^ 1,))),
    Breach.SERVICE: _later(lambda said: b"\xcd" + said[-1][1:]),
    Breach.TITLE: _aare(title=TITLE),
    Breach.MECHANISM: _aare(diagnostic=0),
    Breach.CHALLENGE: _aare(secret=b"short"),
}


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Callable[[Lie], None]:
    """Let meters lie in what they answer."""

    def begin(lie: Lie) -> None:
        answer, said = server.ServerAssociation.answer, list[bytes]()

        def lied(self: server.ServerAssociation, apdu: bytes, now: float) -> bytes:
            if apdu[0] == AARQ:
                said.clear()
            said.append(answer(self, apdu, now))
            return lie(said)

        monkeypatch.setattr(server.ServerAssociation, "answer", lied)

    return begin


def assert_told(breach: Breach) -> None:
    """A visit to the one meter fails that check; it is counted and told of, and nothing is kept."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll(REGISTERS)
        await poll.step()
        assert (poll.health.refused, poll.health.security) == (1, {breach: 1})
        ((name, meter, detail),) = box.reports
        assert (name, meter, detail["breach"]) == ("security breach", "M0001", breach.value)
        assert detail["reason"]
        assert box.store.captures == []

    virtually(work)


@pytest.mark.parametrize("breach", LIES, ids=lambda breach: breach.value)
def test_a_lie_on_the_line(breach: Breach, lying: Callable[[Lie], None]) -> None:
    lying(LIES[breach])
    assert_told(breach)


def test_a_meter_that_does_not_prove_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "prove", lambda _, __: bytes(17))
    assert_told(Breach.PROOF)


def test_an_answer_in_another_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    unprotect = Cipher.unprotect_any

    def forgetting(self: Cipher, apdu: bytes, *, serving: bool = False) -> tuple[bytes, Ciphering]:
        plain = unprotect(self, apdu, serving=serving)
        self._asked = b"\x01"
        return plain

    monkeypatch.setattr(Cipher, "unprotect_any", forgetting)
    monkeypatch.setattr("sim.fleet.MANAGEMENT", replace(server.MANAGEMENT, ciphering=Ciphering.GENERAL))
    assert_told(Breach.TRANSACTION)


def test_every_check_is_here() -> None:
    assert {*LIES, Breach.PROOF, Breach.TRANSACTION, Breach.KEY} == set(Breach)
