"""What is sealed outside of an association: opened under one of the sets of keys, with a counter that is new."""

from dataclasses import replace
from itertools import count

import pytest

from dcu.conversation.invocations import Invocations, Ledger, counter_name
from dcu.conversation.unasked import plain, unsealed
from dcu.dlms.security import Cipher
from dcu.errors import Breach, SecurityError
from dcu.model import Ciphering, Keys
from tests.lines import TITLE, MemoryStore

OLD = Keys(b"", b"the old key, 16o", b"to prove it with")
NEW = replace(OLD, encryption_key=b"the new key, 16o")
METER = b"MTR00001"
WORD = b"\xc2\x00 a change"


async def ledgers(*keys: Keys) -> list[tuple[Keys, Ledger]]:
    known = Invocations(MemoryStore())
    return [(each, await known.prepare(each, TITLE, {})) for each in keys]


def sealed(keys: Keys, counter: int, form: Ciphering = Ciphering.GENERAL_GLO) -> bytes:
    return Cipher(keys, METER, lambda: counter).protect(WORD, form)


async def test_one_of_two_sets_of_keys_opens_it() -> None:
    candidates = await ledgers(OLD, NEW)
    found = unsealed(sealed(NEW, 9), METER, candidates, TITLE, 0)
    assert (found.apdu, found.heard) == (WORD, {counter_name(NEW, METER): 9})


async def test_a_counter_counts_from_when_it_was_taken() -> None:
    candidates = await ledgers(OLD)
    for _ in range(2):
        found = unsealed(sealed(OLD, 9), METER, candidates, TITLE, 0)
    found.take()
    for counter in (8, 9):
        with pytest.raises(SecurityError) as refused:
            unsealed(sealed(OLD, counter), METER, candidates, TITLE, 0)
        assert refused.value.breach is Breach.COUNTER
    assert unsealed(sealed(OLD, 10), METER, candidates, TITLE, 0).apdu == WORD


async def test_without_keys_nothing_opens() -> None:
    with pytest.raises(SecurityError):
        unsealed(sealed(OLD, 9), METER, [], TITLE, 0)
    with pytest.raises(SecurityError):
        unsealed(sealed(OLD, 9), METER, await ledgers(NEW), TITLE, 0)


@pytest.mark.parametrize("form", [Ciphering.GLO, Ciphering.GENERAL_GLO, Ciphering.GENERAL])
async def test_an_answer_is_sealed_as_it_came(form: Ciphering) -> None:
    meter = Cipher(OLD, METER, count(9).__next__)
    meter.peer = TITLE
    found = unsealed(meter.protect(WORD, form), METER, await ledgers(OLD), TITLE, 0)
    answer, used = meter.unprotect_any(found.seal(b"\x10 yes"))
    assert answer == b"\x10 yes"
    assert used is (Ciphering.GENERAL if form is Ciphering.GENERAL else Ciphering.GENERAL_GLO)


def test_what_was_not_sealed_is_answered_so() -> None:
    assert plain(WORD).seal(WORD) == plain(WORD).apdu == WORD
