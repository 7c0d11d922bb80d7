"""The Green Book's AARQ and AARE, agreement with gurux-dlms, and malformed ones."""

from dataclasses import replace
from itertools import count

import pytest
from gurux_dlms import GXByteBuffer
from gurux_dlms.enums import Authentication as GuruxAuthentication

from dcu.dlms.acse import (
    AARE,
    AUTHENTICATION_REQUIRED,
    RLRQ,
    Aare,
    Aarq,
    Conformance,
    Initiate,
    encode_release,
)
from dcu.dlms.association import CONFORMANCE, MAX_PDU, SHORT_CONFORMANCE
from dcu.dlms.security import Cipher
from dcu.errors import MeterError
from dcu.model import Authentication, Referencing

from .gurux import CHALLENGE, KEYS, SERVICES, TITLE, ciphered, client

# DLMS UA 1000-2, examples of AARQ and AARE without security, logical name referencing.
PLAIN_AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0"
PLAIN_AARE = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007"


def test_green_book_examples() -> None:
    asked, granted = Initiate(Conformance(0x7E1F), 0x04B0), Initiate(Conformance(0x501F), 0x01F4)
    assert Aarq(asked.request()).to_bytes() == bytes.fromhex(PLAIN_AARQ)
    assert Aare(granted.response()).to_bytes() == bytes.fromhex(PLAIN_AARE)
    assert Initiate.from_request(Aarq.from_bytes(bytes.fromhex(PLAIN_AARQ)).information) == asked
    assert Initiate.from_response(Aare.from_bytes(bytes.fromhex(PLAIN_AARE)).information) == granted


def test_green_book_examples_by_short_names() -> None:
    """DLMS UA 1000-2, the same examples with short name referencing: every service that it has."""
    every = (
        Conformance.READ
        | Conformance.WRITE
        | Conformance.UNCONFIRMED_WRITE
        | Conformance.MULTIPLE_REFERENCES
        | Conformance.INFORMATION_REPORT
        | Conformance.PARAMETERIZED_ACCESS
    )
    aarq = "601DA109060760857405080102BE10040E01000000065F1F04001C032004B0"
    aare = "6129A109060760857405080102A203020100A305A103020100BE10040E0800065F1F04001C032001F4FA00"
    asked = Aarq(Initiate(every, 0x04B0).request(), referencing=Referencing.SN)
    granted = Aare(Initiate(every, 0x01F4).response(Referencing.SN), referencing=Referencing.SN)
    assert (asked.to_bytes(), granted.to_bytes()) == (bytes.fromhex(aarq), bytes.fromhex(aare))
    assert (Aarq.from_bytes(bytes.fromhex(aarq)), Aare.from_bytes(bytes.fromhex(aare))) == (asked, granted)
    assert Initiate.from_response(granted.information, Referencing.SN) == Initiate(every, 0x01F4)


@pytest.mark.parametrize(("referencing", "name"), [(Referencing.LN, "fa00"), (Referencing.SN, "0007")])
def test_an_object_name_of_the_other_referencing_is_refused(referencing: Referencing, name: str) -> None:
    with pytest.raises(MeterError, match="malformed initiate"):
        Initiate.from_response(bytes.fromhex("0800065f1f040000501f01f4" + name), referencing)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("referencing", Referencing)
def test_each_context_comes_back(referencing: Referencing, sealed: bool) -> None:
    aarq = Aarq(b"x", sealed, referencing=referencing)
    aare = Aare(b"x", ciphered=sealed, referencing=referencing)
    assert (Aarq.from_bytes(aarq.to_bytes()), Aare.from_bytes(aare.to_bytes())) == (aarq, aare)


def test_gurux_asks_the_same_by_short_names() -> None:
    theirs = client(authentication=GuruxAuthentication.LOW, logical=False)
    information = Initiate(SHORT_CONFORMANCE, MAX_PDU).request()
    ours = Aarq(information, False, Authentication.LLS, b"", KEYS.password, Referencing.SN)
    assert ours.to_bytes() == bytes(theirs.aarqRequest()[0])


def test_gurux_understands_our_answer_by_short_names() -> None:
    theirs = client(logical=False)
    theirs.aarqRequest()
    answer = Aare(Initiate(SHORT_CONFORMANCE, 1024).response(Referencing.SN), referencing=Referencing.SN)
    theirs.parseAareResponse(GXByteBuffer(answer.to_bytes()))
    assert theirs.negotiatedConformance == theirs.proposedConformance


def test_gurux_asks_the_same_with_a_password() -> None:
    theirs = client(authentication=GuruxAuthentication.LOW)
    ours = Aarq(Initiate(CONFORMANCE, MAX_PDU).request(), False, Authentication.LLS, b"", KEYS.password)
    assert ours.to_bytes() == bytes(theirs.aarqRequest()[0])


def test_gurux_asks_the_same_ciphered() -> None:
    information = Cipher(KEYS, TITLE, count(5).__next__).protect(Initiate(CONFORMANCE, MAX_PDU).request())
    ours = Aarq(information, True, Authentication.HLS_GMAC, TITLE, CHALLENGE)
    assert ours.to_bytes() == bytes(ciphered(5).aarqRequest()[0])


@pytest.mark.parametrize(
    ("mechanism", "theirs"),
    [
        (Authentication.HLS_MD5, GuruxAuthentication.HIGH_MD5),
        (Authentication.HLS_SHA1, GuruxAuthentication.HIGH_SHA1),
        (Authentication.HLS_SHA256, GuruxAuthentication.HIGH_SHA256),
    ],
)
def test_gurux_asks_the_same_with_a_challenge(mechanism: Authentication, theirs: GuruxAuthentication) -> None:
    peer = client(authentication=theirs, number=1)
    peer.password, peer.ciphering.systemTitle, peer.ctoSChallenge = KEYS.password, TITLE, CHALLENGE
    title = TITLE if mechanism is Authentication.HLS_SHA256 else b""
    ours = Aarq(Initiate(CONFORMANCE, MAX_PDU).request(), False, mechanism, title, CHALLENGE)
    assert ours.to_bytes() == bytes(peer.aarqRequest()[0])


def test_gurux_asks_the_same_for_a_dedicated_key() -> None:
    peer = ciphered(5)
    peer.ciphering.dedicatedKey = bytes(range(16))
    request = Initiate(CONFORMANCE, MAX_PDU, bytes(range(16))).request()
    information = Cipher(KEYS, TITLE, count(5).__next__).protect(request)
    assert Aarq(information, True, Authentication.HLS_GMAC, TITLE, CHALLENGE).to_bytes() == bytes(peer.aarqRequest()[0])


def test_gurux_understands_our_answer() -> None:
    theirs = client()
    theirs.aarqRequest()
    answer = Aare(Initiate(CONFORMANCE, 1024).response()).to_bytes()
    theirs.parseAareResponse(GXByteBuffer(answer))
    assert theirs.maxReceivePDUSize == 1024
    assert theirs.negotiatedConformance == SERVICES


def test_everything_both_ways() -> None:
    aarq = Aarq(b"info", True, Authentication.HLS_GMAC, TITLE, CHALLENGE)
    assert Aarq.from_bytes(aarq.to_bytes()) == aarq
    aare = Aare(b"info", 0, AUTHENTICATION_REQUIRED, True, Authentication.HLS_GMAC, b"MTR00001", CHALLENGE)
    assert Aare.from_bytes(aare.to_bytes()) == aare
    refused = Aare(b"", 1, 13)
    assert Aare.from_bytes(refused.to_bytes()) == refused
    assert refused.reason == "authentication failure"
    assert Aare(b"", 1, 99).reason == "diagnostic 99"


def test_a_refusal_by_the_service_provider() -> None:
    octets = Aare(b"", 1, 2).to_bytes().replace(b"\xa3\x05\xa1", b"\xa3\x05\xa2")
    assert Aare.from_bytes(octets).diagnostic == 2


def test_optional_parts_of_an_initiate_request() -> None:
    tail = "06 5f1f0400 00501f 01f4"
    wanted = Initiate(Conformance(0x501F), 500)
    keys = {"01 00 00 00": "", "01 01 02 aabb 00 00": "aabb", "01 00 01 01 00": "", "01 00 00 01 05": ""}
    for head, key in (*keys.items(), ("01 01 01 aa 01 00 01 05", "aa")):
        asked = Initiate.from_request(bytes.fromhex(head + tail))
        assert asked == replace(wanted, dedicated_key=bytes.fromhex(key))
    assert Initiate.from_response(bytes.fromhex("08 01 05" + tail + "0007")) == wanted
    assert Initiate.from_response(bytes.fromhex("08 00 06 5f0400 00501f 01f4 0007")) == wanted


@pytest.mark.parametrize(
    "octets", [PLAIN_AARE, Aare(b"i", 0, 14, True, Authentication.LLS, TITLE, b"s").to_bytes().hex()]
)
def test_malformed_answers(octets: str) -> None:
    raw = bytes.fromhex(octets)
    for damaged in (*(raw[:size] for size in range(len(raw))), raw + b"\x00", raw + raw):
        with pytest.raises(MeterError):
            Aare.from_bytes(damaged)


@pytest.mark.parametrize(
    "octets",
    [
        PLAIN_AARQ,  # another APDU
        PLAIN_AARE.replace("060760857405080101", "060760857405080105"),  # a context that is not known
        PLAIN_AARE.replace("A203020100", "A203020101").replace("A305A103020100", "A305A503020100"),  # no diagnostic
        PLAIN_AARE.replace("A203020100", "A203020100" * 2).replace("6129", "612E"),  # a field twice
        PLAIN_AARE.replace("A203020100", "A203020100" + "89024142").replace("6129", "612D"),  # unknown mechanism
    ],
)
def test_answers_that_say_what_we_do_not_know(octets: str) -> None:
    with pytest.raises(MeterError):
        Aare.from_bytes(bytes.fromhex(octets))


def test_fields_are_bounded() -> None:
    many = b"".join(bytes((tag, 0)) for tag in range(100))
    with pytest.raises(MeterError, match="malformed"):
        Aare.from_bytes(bytes((AARE, 0x81, len(many))) + many)


@pytest.mark.parametrize(
    "octets", ["", "08", "0800", "080006", "0800055f1f040000501f01f40007", "0800065f1f040000501f01f4"]
)
def test_malformed_initiate_responses(octets: str) -> None:
    with pytest.raises(MeterError, match=r"Initiate|initiate"):
        Initiate.from_response(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", ["", "01", "0100", "010000", "01000000", "0101", "0800065f1f040000501f01f40007"])
def test_malformed_initiate_requests(octets: str) -> None:
    with pytest.raises(MeterError, match=r"Initiate|initiate"):
        Initiate.from_request(bytes.fromhex(octets))


def test_release() -> None:
    assert encode_release(RLRQ).hex() == "6203800100"
    assert encode_release(RLRQ, b"i").hex() == "6208800100be03040169"
