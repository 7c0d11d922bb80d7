"""ACSE and ciphering told to a person: each protection with good keys, wrong keys and none."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dcu.dlms.axdr import encode_length
from dcu.dlms.explain import Explanation, explain
from dcu.errors import ConfigError
from dcu.model import Keys

KEYS = Keys(b"", bytes(range(16)), bytes(range(0xD0, 0xE0)))
TITLE = b"MTR00001"
COUNTER = (7).to_bytes(4)
PLAIN = bytes.fromhex("c401c1001208fd")
CONTEXT = "a109 0607 60857405080101"


def sealed(control: int, plain: bytes = PLAIN, head: bytes = b"\xcc", keys: Keys = KEYS) -> bytes:
    """Protect by the table of IEC 62056-5-3, with the one-shot words of the library."""
    gcm, nonce, additional = AESGCM(keys.encryption_key), TITLE + COUNTER, bytes((control,)) + keys.authentication_key
    match control & 0x30:
        case 0x10:
            body = plain + gcm.encrypt(nonce, b"", additional + plain)[:12]
        case 0x20:
            body = gcm.encrypt(nonce, plain, b"")[:-16]
        case 0x30:
            body = gcm.encrypt(nonce, plain, additional)[:-4]
        case _:
            body = plain
    content = bytes((control,)) + COUNTER + body
    return head + encode_length(len(content)) + content


def told(apdu: bytes, keys: Keys = KEYS, title: bytes = TITLE) -> Explanation:
    return explain(apdu, keys, title)


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (0x10, "suite 0, authenticated, unicast key"),
        (0x20, "suite 0, encrypted, unicast key"),
        (0x30, "suite 0, authenticated and encrypted, unicast key"),
        (0x71, "suite 1, authenticated and encrypted, broadcast key"),
        (0x00, "suite 0, no protection, unicast key"),
    ],
)
def test_each_protection(control: int, words: str) -> None:
    explanation = told(sealed(control))
    assert explanation.good, explanation.text
    assert words in explanation.text
    assert "invocation counter 7" in explanation.text
    assert "long-unsigned 2301" in explanation.text
    assert (": verified" in explanation.text) == bool(control & 0x10)


def test_suite_2_has_keys_of_32_octets() -> None:
    keys = Keys(b"", bytes(32), bytes(range(32)))
    assert "long-unsigned 2301" in told(sealed(0x32, keys=keys), keys).text
    with pytest.raises(ConfigError, match="16 or 32"):
        told(sealed(0x30), Keys(b"", bytes(15), b""))


@pytest.mark.parametrize("control", [0x10, 0x30])
@pytest.mark.parametrize("wrong", ["title", "authentication", "bit"])
def test_a_wrong_tag_is_said_and_nothing_under_it_told(control: int, wrong: str) -> None:
    apdu = bytearray(sealed(control))
    apdu[-1] ^= wrong == "bit"
    keys = Keys(b"", KEYS.encryption_key, bytes(16)) if wrong == "authentication" else KEYS
    explanation = told(bytes(apdu), keys, b"MTR00002" if wrong == "title" else TITLE)
    assert not explanation.good
    assert "the authentication tag is wrong" in explanation.text
    assert "2301" not in explanation.text


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xdb\x08" + TITLE, "general-glo-ciphering\n  system title 4d 54 52 30 30 30 30 31 (maker MTR)"),
        (b"\xdc\x08" + TITLE, "general-ded-ciphering"),
        (b"\xd4", "ded-get-response"),
        (b"\x2c", "glo-read-response"),
        (b"\x4c", "ded-read-response"),
        (b"\x21", "glo-initiate-request"),
    ],
)
def test_each_envelope(head: bytes, words: str) -> None:
    title = TITLE if len(head) == 1 else b""
    explanation = told(sealed(0x30, head=head), title=title)
    assert explanation.good, explanation.text
    assert words in explanation.text
    assert "2301" in explanation.text


@pytest.mark.parametrize(
    ("apdu", "reason"),
    [
        (b"\xdd\x00\x00\x00\x00\x00\x01\x02\x01\x03\x00", "a key that is not known"),
        (b"\xdd\x00\x00\x00\x00\x00\x01\x02\x01\x01\x05", "truncated"),
        (b"\xcc\x06\x30\x00\x00\x00\x01\xaa", "no room for an authentication tag"),
        (b"\xcc\x03\x30\x00\x00", "truncated"),
    ],
)
def test_malformed(apdu: bytes, reason: str) -> None:
    explanation = told(apdu)
    assert not explanation.good
    assert reason in explanation.text


def test_layers_have_an_end() -> None:
    apdu = PLAIN
    for _ in range(5):
        apdu = sealed(0x00, apdu)
    assert "more than 4 layers" in told(apdu).text
    aarq = b"\x60\x00"
    for _ in range(40):
        inner = b"\x04" + encode_length(len(aarq)) + aarq
        body = b"\xbe" + encode_length(len(inner)) + inner
        aarq = b"\x60" + encode_length(len(body)) + body
    assert "more than 4 layers" in told(aarq).text


def test_what_lacks_is_named() -> None:
    assert "not verified, no encryption key" in told(sealed(0x30), Keys()).text
    assert "not verified, no system title of the sender" in told(sealed(0x30), title=b"").text
    assert "compressed: c4 01" in told(sealed(0x90)).text


def test_association_refused() -> None:
    explanation = told(bytes.fromhex(f"6117 {CONTEXT} a203 020101 a305 a103 02010d"))
    assert explanation.good, explanation.text
    assert "result 1: rejected for good" in explanation.text
    assert "diagnostic of the service user 13: authentication failure" in explanation.text


def test_fields_nobody_knows_and_identifiers_of_others() -> None:
    assert "field 0xa9: 01" in told(bytes.fromhex("6003 a90101")).text
    assert "object identifier 60857405080201 is not known" in told(bytes.fromhex("600b a109 0607 60857405080201")).text
    assert "a field 0x06 is missing" in told(bytes.fromhex("6004 a1020500")).text
