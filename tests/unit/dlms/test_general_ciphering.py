"""General ciphering: the octets, gurux's tag, keys that are known and not, and answers to another question."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count, product
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.enums import Security
from gurux_dlms.GXDLMSChippering import GXDLMSChippering
from gurux_dlms.objects.enums import SecuritySuite

from dcu.dlms.explain import explain
from dcu.dlms.general_ciphering import (
    GENERAL_OCTETS,
    INFORMED,
    SCHEMES,
    AgreedKey,
    GeneralHeader,
    GlobalKey,
    KeyInfo,
    Scheme,
    WrappedKey,
    general_octets,
)
from dcu.dlms.security import Cipher
from dcu.errors import Breach, MeterError, SecurityError
from dcu.model import Ciphering, Keys
from tests.unit.sim.test_guard import keys_of

from .gurux import KEYS, TITLE
from .signing import both_keys

METER_TITLE = b"MTR\x00\x00\x00\x00\x01"
GET = bytes.fromhex("C001C100010000600100FF0200")
ANSWER = bytes.fromhex("C401C1001105")
MASTER = bytes(range(0x40, 0x50))
GENERAL = Ciphering.GENERAL


def pair(keys: Keys = KEYS) -> tuple[Cipher, Cipher]:
    """Client and meter that know each other, and whose last question was received."""
    client, meter = Cipher(keys, TITLE, count(7).__next__), Cipher(keys, METER_TITLE, count(1).__next__)
    client.peer, meter.peer = METER_TITLE, TITLE
    assert meter.unprotect_any(client.protect(GET, GENERAL)) == (GET, GENERAL)
    return client, meter


def test_the_octets() -> None:
    client, _ = pair()
    apdu = client.protect(GET, GENERAL)
    head = "dd 08 0000000000000008 08" + TITLE.hex() + "08" + METER_TITLE.hex() + "00 00 01 00 00 1e 30 00000008"
    assert apdu.startswith(bytes.fromhex(head))
    assert len(apdu) == 1 + GENERAL_OCTETS + 1 + 5 + len(GET) + 12


def test_question_and_answer_bear_one_transaction() -> None:
    client, meter = pair()
    answer = meter.protect(ANSWER, GENERAL)
    assert answer[2:10] == bytes(7) + b"\x07"
    assert client.unprotect(answer, GENERAL) == ANSWER


def test_gurux_computes_the_same_tag() -> None:
    """gurux authenticates the header, each field with its length, from suite 1 on."""
    client = Cipher(KEYS, TITLE, lambda: 0x100, suite=1)
    client.peer = METER_TITLE
    theirs = AesGcmParameter(0xDD, TITLE, KEYS.encryption_key, KEYS.authentication_key)
    theirs.security = Security.AUTHENTICATION_ENCRYPTION
    theirs.securitySuite = SecuritySuite.SUITE_1
    theirs.invocationCounter = 0x100
    theirs.recipientSystemTitle = METER_TITLE
    sealed = bytes(GXDLMSChippering.encryptAesGcm(theirs, GET))
    assert client.protect(GET, GENERAL).endswith(sealed[1:])


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        ({"transaction": b"\x01"}, Breach.TRANSACTION),
        ({"transaction": b""}, Breach.TRANSACTION),
        ({"recipient": b"DCU00009"}, Breach.TITLE),
        ({"originator": b"MTR00002"}, Breach.TITLE),
    ],
)
def test_an_answer_to_another_question_or_party_is_refused(change: dict[str, Any], breach: Breach) -> None:
    client, meter = pair()
    good = GeneralHeader(bytes(7) + b"\x07", METER_TITLE, TITLE)
    apdu = meter_says(meter, replace(good, **change))
    with pytest.raises(SecurityError) as refused:
        client.unprotect(apdu, GENERAL)
    assert refused.value.breach is breach
    # nothing is remembered of it: the true answer is still taken
    assert client.unprotect(meter_says(meter, good), GENERAL) == ANSWER


def meter_says(meter: Cipher, header: GeneralHeader, apdu: bytes = ANSWER) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cipher, "_general", lambda *_: header)
        return meter.protect(apdu, GENERAL)


@pytest.mark.parametrize("field", ["transaction", "date_time", "other"])
def test_the_header_is_authenticated(field: str) -> None:
    client, meter = pair()
    good = GeneralHeader(bytes(7) + b"\x07", METER_TITLE, TITLE, b"\x01" * 12, b"more")
    apdu = meter_says(meter, good)
    at = apdu.index({"transaction": bytes(7) + b"\x07", "date_time": b"\x01" * 12, "other": b"more"}[field])
    with pytest.raises(SecurityError) as refused:
        client.unprotect(apdu[:at] + bytes((apdu[at] ^ 1,)) + apdu[at + 1 :], GENERAL)
    assert refused.value.breach is Breach.TAG
    assert client.unprotect(apdu, GENERAL) == ANSWER


def test_what_nobody_asked_for_has_a_transaction_of_its_own() -> None:
    client, meter = pair()
    push = b"\x0f\x00\x00\x00\x01\x00\x00"
    assert client.unprotect(meter_says(meter, GeneralHeader(b"\x99", METER_TITLE, TITLE), push), GENERAL) == push


def wrapped(client: Cipher, transaction: bytes, master: bytes = MASTER, size: int = 16) -> bytes:
    """An answer under a key of its own, which comes with it."""
    key = bytes(range(0x60, 0x60 + size))
    meter = Cipher(replace(KEYS, encryption_key=key[:16]), METER_TITLE, count(1).__next__)
    meter.peer = client._title
    return meter_says(meter, GeneralHeader(transaction, METER_TITLE, TITLE, key=WrappedKey(aes_key_wrap(master, key))))


def test_a_wrapped_key_is_unwrapped_by_the_master_key() -> None:
    client, _ = pair(replace(KEYS, master_key=MASTER))
    assert client.unprotect(wrapped(client, bytes(7) + b"\x07"), GENERAL) == ANSWER


@pytest.mark.parametrize(
    ("master", "make", "breach"),
    [
        (b"", lambda client: wrapped(client, bytes(7) + b"\x07"), Breach.CONTROL),
        (MASTER, lambda client: wrapped(client, bytes(7) + b"\x07", bytes(16)), Breach.TAG),
        (MASTER, lambda client: wrapped(client, bytes(7) + b"\x07", size=32), Breach.LENGTH),
        # its counters start anew, so a recording must not answer another question
        (MASTER, lambda client: wrapped(client, bytes(7) + b"\x06"), Breach.TRANSACTION),
    ],
)
def test_a_wrapped_key_refused(master: bytes, make: Callable[[Cipher], bytes], breach: Breach) -> None:
    client, _ = pair(replace(KEYS, master_key=master))
    with pytest.raises(SecurityError) as refused:
        client.unprotect(make(client), GENERAL)
    assert refused.value.breach is breach


def test_a_wrapped_key_answers_only_what_was_asked() -> None:
    client = Cipher(replace(KEYS, master_key=MASTER), TITLE, count(1).__next__)
    client.peer = METER_TITLE
    with pytest.raises(SecurityError, match="in answer to nothing"):
        client.unprotect(wrapped(client, b"\x01"), GENERAL)


BROADCAST = bytes(range(0x70, 0x80))


def broadcast(transaction: bytes) -> bytes:
    """An answer under the key that all meters have."""
    meter = Cipher(replace(KEYS, encryption_key=BROADCAST), METER_TITLE, count(1).__next__)
    meter.peer = TITLE
    return meter_says(meter, GeneralHeader(transaction, METER_TITLE, TITLE, key=GlobalKey.BROADCAST))


def test_the_broadcast_key_is_taken_by_who_has_it() -> None:
    client, _ = pair(replace(KEYS, broadcast_key=BROADCAST))
    assert client.unprotect(broadcast(bytes(7) + b"\x07"), GENERAL) == ANSWER
    assert client.heard == -1  # it says nothing of the counters of the unicast key


@pytest.mark.parametrize(
    ("key", "transaction", "breach"),
    [
        (b"", bytes(7) + b"\x07", Breach.CONTROL),
        (bytes(16), bytes(7) + b"\x07", Breach.TAG),
        (BROADCAST, bytes(7) + b"\x06", Breach.TRANSACTION),
    ],
)
def test_the_broadcast_key_refused(key: bytes, transaction: bytes, breach: Breach) -> None:
    client, _ = pair(replace(KEYS, broadcast_key=key))
    with pytest.raises(SecurityError) as refused:
        client.unprotect(broadcast(transaction), GENERAL)
    assert refused.value.breach is breach


@pytest.mark.parametrize("make", [wrapped, lambda _, transaction: broadcast(transaction)])
def test_nothing_is_said_twice_in_one_transaction(make: Callable[[Cipher, bytes], bytes]) -> None:
    client, _ = pair(replace(KEYS, master_key=MASTER, broadcast_key=BROADCAST))
    answer = make(client, bytes(7) + b"\x07")
    assert client.unprotect(answer, GENERAL) == ANSWER
    with pytest.raises(SecurityError) as refused:
        client.unprotect(answer, GENERAL)
    assert refused.value.breach is Breach.COUNTER


def test_outside_of_any_association_only_the_unicast_key_is_taken() -> None:
    client, _ = pair(replace(KEYS, master_key=MASTER, broadcast_key=BROADCAST))
    for apdu in (broadcast(b"\x01"), wrapped(client, b"\x01")):
        with pytest.raises(SecurityError, match="in answer to nothing"):
            client.unprotect_any(apdu)


@pytest.mark.parametrize("scheme", Scheme)
def test_a_transaction_is_new_though_the_counter_is_not(scheme: Scheme) -> None:
    """After a change of the global key the counters begin anew, and the keys that are agreed by stay."""
    client = Cipher(both_keys(1)[0], TITLE, lambda: 1, suite=1)
    client.peer = METER_TITLE
    client.agree_by(scheme)
    form = {scheme: form for form, scheme in SCHEMES.items()}[scheme]
    sealed = [client.protect(GET, form) for _ in range(8)]
    assert len({apdu[2:10] for apdu in sealed}) == len({apdu[-len(GET) - 12 :] for apdu in sealed}) == 8


@pytest.mark.parametrize(("suite", "form"), list(product((1, 2), sorted(INFORMED))))
def test_how_long_a_header_is(suite: int, form: Ciphering) -> None:
    client = Cipher(keys_of(suite)[0], TITLE, lambda: 1, suite=suite)
    client.peer = METER_TITLE
    client.agree_by(*Scheme)
    _, end = GeneralHeader.from_bytes(client.protect(GET, form), 1)
    assert end == 1 + general_octets(form, suite)


@pytest.mark.parametrize(
    ("key_info", "reason"),
    [
        ("01 00 02 00", "a key that is not known: 000200"),
        ("01 02 01 03 00", "a key that is not known: 020103"),  # agreed on by a scheme that is reserved
        ("01 02 02 00 01 00", "a key that is not known: 020200"),
        ("01 01 00 00", "a key that is not known: 010000"),  # wrapped, and empty
        ("01 03 00 00", "a key that is not known: 030000"),
        ("01 01", "truncated"),
        ("01", "truncated"),
    ],
)
def test_other_keys(key_info: str, reason: str) -> None:
    client, _ = pair()
    head = b"\xdd" + GeneralHeader(b"\x07", METER_TITLE, TITLE).authenticated() + bytes.fromhex(key_info)
    with pytest.raises(SecurityError, match=reason):
        client.unprotect(head, GENERAL)


def test_without_key_info_it_is_the_global_key() -> None:
    client, meter = pair()
    apdu = meter.protect(ANSWER, GENERAL)
    at = 1 + GENERAL_OCTETS - 3
    assert client.unprotect(apdu[:at] + b"\x00" + apdu[at + 3 :], GENERAL) == ANSWER


@pytest.mark.parametrize("end", range(1, 45))
def test_every_truncation_is_refused(end: int) -> None:
    client, meter = pair()
    with pytest.raises(MeterError):
        client.unprotect(meter.protect(ANSWER, GENERAL)[:end], GENERAL)


def test_it_is_explained() -> None:
    _, meter = pair()
    said = explain(meter.protect(ANSWER, GENERAL), KEYS)
    assert said.good, said.text
    assert "general-ciphering\n  transaction id 00 00 00 00 00 00 00 07\n  originator 4d 54 52" in said.text
    assert ": verified" in said.text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (WrappedKey(b"\x01\x02"), "key: wrapped under the master key, 01 02"),
        (GlobalKey.BROADCAST, "key: the global broadcast key"),
        (AgreedKey(Scheme.STATIC, b""), "key: agreed on by C(0e, 2s, ECC CDH)\n"),
        (AgreedKey(Scheme.ONE_PASS, b"\x01" * 128), "by C(1e, 1s, ECC CDH), ephemeral key and signature 01 01"),
    ],
)
def test_other_keys_are_named(key: KeyInfo, words: str) -> None:
    _, meter = pair()
    said = explain(meter_says(meter, GeneralHeader(b"\x07", METER_TITLE, TITLE, key=key)), KEYS)
    assert said.good, said.text
    assert words in said.text
    assert said.text.endswith("not verified, no such key")
