"""Examples that the standards themselves print: what we compute is what everybody else does.

Green Book is DLMS UA 1000-2 (its text is IEC 62056-5-3), Blue Book DLMS UA 1000-1 (IEC 62056-6-2).
"""

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance, Initiate
from dcu.dlms.hdlc import fcs16
from dcu.dlms.moment import DateTime
from dcu.dlms.requests import decode_request
from dcu.dlms.security import AUTHENTICATED, Cipher
from dcu.dlms.services import Set
from dcu.model import Attribute, Keys

#: Green Book, table 40, "Example for ciphered APDUs": keys, title and counter of all examples.
KEYS = Keys(b"", bytes.fromhex("000102030405060708090A0B0C0D0E0F"), bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"))
TITLE, COUNTER = bytes.fromhex("4D4D4D0000BC614E"), 0x01234567
GET_CLOCK = bytes.fromhex("C0010000080000010000FF0200")


def server() -> Cipher:
    return Cipher(KEYS, TITLE, lambda: COUNTER)


def test_a_get_request_encrypted_and_authenticated() -> None:
    """Green Book, table 40, security control 0x30."""
    sealed = bytes.fromhex("C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B")
    assert server().protect(GET_CLOCK) == sealed
    reader = Cipher(KEYS, b"MTR00001", lambda: 1)
    reader.peer = TITLE
    assert reader.unprotect(sealed) == GET_CLOCK


def test_a_get_request_authenticated_only() -> None:
    """Green Book, table 40, security control 0x10: the tag is that of GMAC over the plain APDU."""
    expected = bytes((AUTHENTICATED,)) + bytes.fromhex("01234567 06725D910F9221D263877516")
    assert server().gmac(GET_CLOCK) == expected


def test_an_initiate_request() -> None:
    """Green Book, 11.2, "Encoding of the xDLMS InitiateRequest APDU": plain, with a dedicated key, and ciphered."""
    plain = bytes.fromhex("01011000112233445566778899AABBCCDDEEFF0000065F1F0400007E1F04B0")
    initiate = Initiate.from_request(plain)
    assert initiate.dedicated_key == bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    assert (initiate.conformance, initiate.max_pdu) == (Conformance(0x007E1F), 1200)
    ciphered = "21303001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855"
    assert server().protect(plain) == bytes.fromhex(ciphered)


def test_an_initiate_response() -> None:
    """Green Book, 11.2, "Encoding of the xDLMS InitiateResponse APDU"."""
    plain = bytes.fromhex("0800065F1F0400007C1F04000007")
    initiate = Initiate.from_response(plain)
    assert (initiate.conformance, initiate.max_pdu) == (Conformance(0x007C1F), 1024)
    ciphered = "281F3001234567891214A0845E475714383F65BC19745CA235906525E4F3E1C893"
    assert server().protect(plain) == bytes.fromhex(ciphered)


def test_high_level_authentication_by_gmac() -> None:
    """Green Book, table 43, "HLS example using authentication-mechanism 5 with GMAC": both proofs."""
    client = Cipher(KEYS, bytes.fromhex("4D4D4D0000000001"), lambda: 1)
    assert client.gmac(b"P6wRJ21F") == bytes.fromhex("10000000011A52FE7DD3E72748973C1E28")
    proof = bytes.fromhex("1001234567FE1466AFB3DBCD4F9389E2B7")
    assert server().gmac(b"K56iVagY") == proof
    client.peer = TITLE
    client.check_gmac(proof, b"K56iVagY")


def test_the_frame_check_sequence() -> None:
    """ISO/IEC 13239, annex A: the check value of CRC-16/X-25, and SNRM as IEC 62056-46 sends it, low octet first."""
    assert fcs16(b"123456789") == (0x906E).to_bytes(2, "little")
    snrm = bytes.fromhex("A0 07 03 21 93 0F 01")
    assert fcs16(snrm[:-2]) == snrm[-2:]


def test_a_date_time() -> None:
    """Green Book, clause 14, SET of the clock: 2002-12-04, a Wednesday, 10:06:11, deviation 120 minutes."""
    request, _ = decode_request(bytes.fromhex("C101C100080000010000FF0200090C07D20C04030A060BFF007800"))
    assert isinstance(request, Set)
    assert request.attribute == Attribute(8, bytes.fromhex("0000010000FF"), 2)
    moment = DateTime.from_bytes(request.value)
    assert (moment.year, moment.month, moment.day, moment.weekday) == (2002, 12, 4, 3)
    assert (moment.hour, moment.minute, moment.second, moment.deviation, moment.status) == (10, 6, 11, 120, 0)
    assert axdr.encode(axdr.date_time(moment)) == b"\x09\x0c" + request.value
