"""One account of APDUs: the plain told, the ciphered opened with the keys at hand, ACSE with the titles it gives.

Nothing is believed or refused for it; frames around the APDUs are `explain`'s, what plain ones say is `narrate`'s.
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from dcu.dlms import acse, axdr, hdlc
from dcu.dlms.general_ciphering import AgreedKey, GlobalKey, KeyInfo, Scheme, WrappedKey, read_key_info, sized
from dcu.dlms.narrate import TELLERS, identifier_text
from dcu.dlms.outline import Octets, Outline, data_lines, octets_text
from dcu.dlms.security import TAG_SIZE, TITLE_SIZE
from dcu.errors import ConfigError, MeterError
from dcu.model import Keys

#: None, suites 0 and 1, suite 2.
_KEY_SIZES: Final = {0, 16, 32}
#: APDUs inside APDUs: an initiate APDU, glo-ciphered, under general ciphering, in an AARQ.
_MAX_LAYERS: Final = 4

_LLC: Final = {hdlc.LLC_COMMAND: "LLC: command, from a client", hdlc.LLC_RESPONSE: "LLC: response, from a meter"}

_CIPHERED: Final = {
    0x21: "glo-initiate-request",
    0x25: "glo-read-request",
    0x26: "glo-write-request",
    0x28: "glo-initiate-response",
    0x2C: "glo-read-response",
    0x2D: "glo-write-response",
    0x45: "ded-read-request",
    0x46: "ded-write-request",
    0x4C: "ded-read-response",
    0x4D: "ded-write-response",
    0xC8: "glo-get-request",
    0xC9: "glo-set-request",
    0xCA: "glo-event-notification-request",
    0xCB: "glo-action-request",
    0xCC: "glo-get-response",
    0xCD: "glo-set-response",
    0xCF: "glo-action-response",
    0xD0: "ded-get-request",
    0xD1: "ded-set-request",
    0xD2: "ded-event-notification-request",
    0xD3: "ded-action-request",
    0xD4: "ded-get-response",
    0xD5: "ded-set-response",
    0xD7: "ded-action-response",
    0xDB: "general-glo-ciphering",
    0xDC: "general-ded-ciphering",
    0xDD: "general-ciphering",
}
_WITH_TITLE: Final = {0xDB, 0xDC}
_GENERAL: Final = 0xDD
#: How a key is agreed on (NIST SP 800-56A, as IEC 62056-5-3 numbers the schemes).
_SCHEMES: Final = {Scheme.ONE_PASS: "C(1e, 1s, ECC CDH)", Scheme.STATIC: "C(0e, 2s, ECC CDH)"}
#: Sent by a meter: what tells whose system title is in the nonce.
_FROM_METER: Final = {0x28, 0x2C, 0x2D, 0x4C, 0x4D, 0xCA, 0xCC, 0xCD, 0xCF, 0xD2, 0xD4, 0xD5, 0xD7}
_AUTHENTICATED, _ENCRYPTED, _BROADCAST, _COMPRESSED = 0x10, 0x20, 0x40, 0x80


class Account:
    """What is told of one input, line by line in `out`, and what was learnt on the way: the titles of both sides.

    ConfigError when a key has another size than AES knows.
    """

    def __init__(self, out: Outline, keys: Keys, title: bytes) -> None:
        if not {len(keys.encryption_key), len(keys.authentication_key)} <= _KEY_SIZES:
            raise ConfigError("a key has 16 or 32 octets")
        self.out = out
        self.client = b""
        self.meter = b""
        self._keys = keys
        self._title = title
        self._layers = 0

    def bare(self, data: bytes) -> None:
        """Tell an APDU, with its LLC or without; what is none may still be Data, whose tags are the same numbers."""
        if data[:3] in _LLC or (data[0] in TAGS and not is_data(data)):
            self.apdu(data)
            return
        octets = Octets(data)
        data_lines(self.out, octets)
        self._complete(octets)

    def apdu(self, data: bytes) -> None:
        """Tell one APDU that has to fill `data`."""
        self._layers += 1
        try:
            if self._layers > _MAX_LAYERS:
                raise MeterError(f"more than {_MAX_LAYERS} layers")
            self._apdu(Octets(data))
        finally:
            self._layers -= 1

    def _apdu(self, octets: Octets) -> None:
        if octets.data[:3] in _LLC:
            self.out.say(_LLC[octets.take(3)])
        tag = octets.number()
        if tag in _CIPHERED:
            self._ciphered(tag, octets)
        elif tag in _ACSE:
            self._association(tag, Octets(octets.sized()))
        elif tag in TELLERS:
            TELLERS[tag](self.out, octets)
        else:
            raise MeterError(f"no APDU has the tag {tag:#04x}")
        self._complete(octets)

    def _complete(self, octets: Octets) -> None:
        if octets.left:
            raise MeterError(f"octets that belong to nothing: {octets_text(octets.rest())}")

    def _association(self, tag: int, octets: Octets) -> None:
        name, fields = _ACSE[tag]
        with self.out.part(name):
            while octets.left:
                number, content = octets.number(), octets.sized()
                tell = fields.get(number)
                if tell is None:
                    self.out.say(f"field {number:#04x}: {octets_text(content)}")
                else:
                    tell(self, Octets(content))

    def _ciphered(self, tag: int, octets: Octets) -> None:
        with self.out.part(_CIPHERED[tag]):
            title, header, lacking = self._sender(tag, octets)
            body = Octets(octets.sized())
            control, counter = body.take(1), body.take(4)
            self.out.say(f"security control {control.hex()}: {_security_text(control[0])}")
            self.out.say(f"invocation counter {int.from_bytes(counter)}")
            self._protected(title + counter, control, body.rest(), header, lacking or self._lacking(title))

    def _sender(self, tag: int, octets: Octets) -> tuple[bytes, bytes, str]:
        """Return the sender's system title, from the header or as learnt; and what of the header is authenticated.

        And what lacks to open it by that, "" for nothing.
        """
        if tag in _WITH_TITLE:
            title = octets.sized()
            self.out.say(f"system title {_title_text(title)}")
            return title or self._title, b"", ""
        if tag == _GENERAL:
            names = ("transaction id", "originator", "recipient", "date-time", "other information")
            header = {name: octets.sized() for name in names}
            for name, value in header.items():
                self.out.say(f"{name} {octets_text(value)}")
            authenticated = b"".join(map(sized, header.values()))
            return header["originator"] or self._title, authenticated, self._key(octets)
        return self._title or (self.meter if tag in _FROM_METER else self.client), b"", ""

    def _key(self, octets: Octets) -> str:
        """Tell under which key it is; return what lacks when that is not the global unicast key."""
        try:
            key, octets.at = read_key_info(octets.data, octets.at)
        except IndexError:
            raise MeterError("truncated") from None
        if key is GlobalKey.UNICAST:
            return ""
        self.out.say(f"key: {_key_text(key)}")
        return "such key"

    def _lacking(self, title: bytes) -> str:
        """Return what is not at hand to open the text with, "" when nothing lacks."""
        if not self._keys.encryption_key:
            return "encryption key"
        return "" if len(title) == TITLE_SIZE else "system title of the sender"

    def _protected(self, nonce: bytes, control: bytes, body: bytes, header: bytes, lacking: str) -> None:
        """Tell what is under the protection; the tag is verified before a word of it is."""
        keys, octet = self._keys, control[0]
        tag = body[-TAG_SIZE:] if octet & _AUTHENTICATED else b""
        sealed = body[: len(body) - len(tag)]
        if len(tag) not in {0, TAG_SIZE}:
            raise MeterError("no room for an authentication tag")
        if lacking:
            self.out.say(f"{'ciphertext' if octet & _ENCRYPTED else 'text'} {octets_text(sealed)}")
            self.out.say(f"authentication tag {tag.hex(' ')}: not verified, no {lacking}" if tag else f"no {lacking}")
            return
        plain = _open(keys, nonce, control + keys.authentication_key + header, sealed, tag)
        self.out.say(f"authentication tag {tag.hex(' ')}: verified" if tag else "not authenticated")
        if octet & _COMPRESSED:
            self.out.say(f"compressed: {octets_text(plain)}")
        else:
            self.apdu(plain)


def is_data(data: bytes) -> bool:
    """Whether `data` is one whole Data."""
    try:
        axdr.decode_all(data)
    except MeterError:
        return False
    return True


def _open(keys: Keys, nonce: bytes, header: bytes, sealed: bytes, tag: bytes) -> bytes:
    """Return the plain APDU (IEC 62056-5-3, table of security control); MeterError when the tag does not agree."""
    encrypted = header[0] & _ENCRYPTED
    mode = GCM(nonce, tag, min_tag_length=TAG_SIZE) if tag else GCM(nonce)
    decryptor = BlockCipher(AES(keys.encryption_key), mode).decryptor()
    if tag:
        decryptor.authenticate_additional_data(header + (b"" if encrypted else sealed))
    plain = decryptor.update(sealed) if encrypted else sealed
    try:
        # encryption alone has no tag to finish with
        return plain + decryptor.finalize() if tag else plain
    except InvalidTag:
        raise MeterError("the authentication tag is wrong: other keys, other system title, or damaged") from None


def _security_text(control: int) -> str:
    how = [word for bit, word in ((_AUTHENTICATED, "authenticated"), (_ENCRYPTED, "encrypted")) if control & bit]
    key = "broadcast key" if control & _BROADCAST else "unicast key"
    more = ", compressed" if control & _COMPRESSED else ""
    return f"suite {control & 0x0F}, {' and '.join(how) or 'no protection'}, {key}{more}"


def _key_text(key: KeyInfo) -> str:
    match key:
        case WrappedKey(wrapped):
            return f"wrapped under the master key, {octets_text(wrapped)}"
        case AgreedKey(scheme, exchanged):
            with_it = f", ephemeral key and signature {octets_text(exchanged)}" if exchanged else ""
            return f"agreed on by {_SCHEMES[scheme]}{with_it}"
        case _:
            return "the global broadcast key"


def _title_text(title: bytes) -> str:
    maker = title[:3].decode("ascii", "replace")
    return f"{title.hex(' ')}{f' (maker {maker})' if maker.isalpha() else ''}"


_Field = Callable[[Account, Octets], None]


def _tagged(octets: Octets, tag: int) -> bytes:
    """Take the field `tag` that is all there is inside another."""
    if octets.number() != tag:
        raise MeterError(f"a field {tag:#04x} is missing")
    return octets.sized()


def _context(account: Account, octets: Octets) -> None:
    account.out.say(f"application context: {identifier_text(1, _tagged(octets, 0x06))}")


def _mechanism(account: Account, octets: Octets) -> None:
    account.out.say(f"authentication mechanism: {identifier_text(2, octets.rest())}")


def _client_title(account: Account, octets: Octets) -> None:
    account.client = _tagged(octets, 0x04)
    account.out.say(f"system title of the client {_title_text(account.client)}")


def _meter_title(account: Account, octets: Octets) -> None:
    account.meter = _tagged(octets, 0x04)
    account.out.say(f"system title of the meter {_title_text(account.meter)}")


def _secret(account: Account, octets: Octets) -> None:
    account.out.say(f"password or challenge {octets_text(_tagged(octets, 0x80))}")


def _requirements(account: Account, octets: Octets) -> None:
    account.out.say(f"ACSE requirements {octets.rest().hex(' ')}")


def _association_result(account: Account, octets: Octets) -> None:
    number = int.from_bytes(_tagged(octets, 0x02)[:1])
    words = {0: "accepted", 1: "rejected for good", 2: "rejected for now"}
    account.out.say(f"result {number}: {words.get(number, 'unknown')}")


def _diagnostic(account: Account, octets: Octets) -> None:
    side = {0xA1: "service user", 0xA2: "service provider"}.get(octets.number(), "unknown side")
    number = int.from_bytes(_tagged(Octets(octets.sized()), 0x02)[:1])
    account.out.say(f"diagnostic of the {side} {number}: {acse.Aare(b'', 0, number).reason if number else 'none'}")


def _reason(account: Account, octets: Octets) -> None:
    account.out.say(f"reason {octets.rest().hex(' ')}")


def _user_information(account: Account, octets: Octets) -> None:
    with account.out.part("user information"):
        account.apdu(_tagged(octets, 0x04))


_ACSE: Final[dict[int, tuple[str, dict[int, _Field]]]] = {
    acse.AARQ: (
        "AARQ (association request)",
        {
            0xA1: _context,
            0xA6: _client_title,
            0x8A: _requirements,
            0x8B: _mechanism,
            0xAC: _secret,
            0xBE: _user_information,
        },
    ),
    acse.AARE: (
        "AARE (association response)",
        {
            0xA1: _context,
            0xA2: _association_result,
            0xA3: _diagnostic,
            0xA4: _meter_title,
            0x88: _requirements,
            0x89: _mechanism,
            0xAA: _secret,
            0xBE: _user_information,
        },
    ),
    acse.RLRQ: ("RLRQ (release request)", {0x80: _reason, 0xBE: _user_information}),
    acse.RLRE: ("RLRE (release response)", {0x80: _reason, 0xBE: _user_information}),
}
#: First octets of an APDU.
TAGS: Final = {*TELLERS, *_CIPHERED, *_ACSE}
