"""AES-GCM around APDUs, under a global or a dedicated key, suites 0 to 2 (IEC 62056-5-3; NIST SP 800-38D).

Where protection is demanded is decided in `protection`; keys and invocation counters are kept elsewhere, handed in.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from secrets import token_bytes
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from dcu.dlms.axdr import encode_length
from dcu.dlms.general_ciphering import (
    GENERAL_CIPHERING,
    INFORMED,
    SCHEMES,
    AgreedKey,
    GeneralHeader,
    GlobalKey,
    KeyInfo,
    Scheme,
    WrappedKey,
    octets,
)
from dcu.errors import Breach, ConfigError, MeterError, SecurityError
from dcu.model import AGREED, KEY_OCTETS, Ciphering, Keys

if TYPE_CHECKING:
    from dcu.dlms.agreement import Agreement  # loaded for meters that agree on keys only

TITLE_SIZE: Final = 8
TAG_SIZE: Final = 12
MAX_COUNTER: Final = 0xFFFF_FFFF
#: Security control octet, under the unicast key and without compression; the suite is in its lowest four bits.
AUTHENTICATED: Final = 0x10
AUTHENTICATED_ENCRYPTED: Final = 0x30
#: Security control and invocation counter, before what is protected.
_HEADER_SIZE: Final = 5

_SERVICES: Final = (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)
_SHORT_SERVICES: Final = (0x05, 0x06, 0x0C, 0x0D)
#: glo-ciphered tag of each plain one: initiate, read and write, then get, set, event, action and all their answers.
GLO: Final = {tag: tag + 0x20 for tag in (0x01, 0x08, *_SHORT_SERVICES)} | {tag: tag + 8 for tag in _SERVICES}
#: The same under a dedicated key, which an association has only once it was initiated.
DED: Final = {tag: tag + 0x40 for tag in _SHORT_SERVICES} | {tag: tag + 0x10 for tag in _SERVICES}
GENERAL_GLO: Final = 0xDB
GENERAL_DED: Final = 0xDC
_GENERAL: Final = {
    GENERAL_GLO: Ciphering.GENERAL_GLO,
    GENERAL_DED: Ciphering.GENERAL_DED,
    GENERAL_CIPHERING: Ciphering.GENERAL,
}
#: Data notification and event notification: what no request has led to bears a transaction of its own.
_UNASKED: Final = {0x0F, 0xC2}
_GLO: Final = Ciphering.GLO
_DEDICATED: Final = {Ciphering.DED, Ciphering.GENERAL_DED}
_AGREED_FORMS: Final = {scheme: form for form, scheme in SCHEMES.items()}
_NOTHING_AGREED: Final[Mapping[Scheme, "Agreement"]] = MappingProxyType({})
#: Octets of a transaction.
_TRANSACTION: Final = 8
#: What each ciphered tag that names its service announces inside.
_PLAIN: Final = {ciphered: (plain, Ciphering.GLO) for plain, ciphered in GLO.items()} | {
    ciphered: (plain, Ciphering.DED) for plain, ciphered in DED.items()
}


class Heard(Protocol):
    """The highest invocation counter that each system title was heard to use under one key; a dict will do."""

    def get(self, title: bytes, default: int, /) -> int: ...

    def __setitem__(self, title: bytes, counter: int, /) -> None: ...


class _Key:
    """An encryption key, and the last invocation counter that the peer used under it, unless it is the global one."""

    __slots__ = ("aead", "block", "heard")

    def __init__(self, octets: bytes) -> None:
        self.aead = AESGCM(octets)
        self.block = AES(octets)
        self.heard = -1


class _Sealed(NamedTuple):
    """A ciphered APDU taken apart: `plain` is the tag announced inside, None where the form announces none."""

    form: Ciphering
    plain: int | None
    title: bytes
    header: bytes
    body: bytes
    general: GeneralHeader | None = None


class Cipher:
    """One end of a ciphered conversation; client and server differ only in their titles.

    `title` is our system title and `peer` the other's, learnt from its AARQ or AARE; `heard` remembers the last
    invocation counters accepted under the global key, over associations. `take_counter` gives a counter never given
    before under this key, 0 to MAX_COUNTER. ConfigError when keys or title have the wrong size.
    """

    def __init__(
        self,
        keys: Keys,
        title: bytes,
        take_counter: Callable[[], int],
        *,
        suite: int = 0,
        heard: Heard | None = None,
    ) -> None:
        size = KEY_OCTETS[suite]
        if not len(keys.encryption_key) == len(keys.authentication_key) == size:
            raise ConfigError(f"security suite {suite} needs an encryption and an authentication key of {size} octets")
        if len(keys.broadcast_key) not in {0, size}:
            raise ConfigError(f"security suite {suite} needs a broadcast key of {size} octets, or none")
        if len(title) != TITLE_SIZE:
            raise ConfigError("a system title has 8 octets")
        self._peer = b""
        self._known: Heard = {} if heard is None else heard
        self._suite = suite
        self._title = title
        self._take_counter = take_counter
        self._keys = keys
        self._authentication_key = keys.authentication_key
        self._agreements = _NOTHING_AGREED
        self._transaction = self._asked = b""
        self._global = _Key(keys.encryption_key)
        self._dedicated: _Key | None = None
        #: The key of the last APDU that came under one of its own, by transaction and how it was told.
        self._latest: tuple[tuple[bytes, KeyInfo], _Key] | None = None

    @property
    def heard(self) -> int:
        """The last invocation counter accepted from the peer under the global key, -1: none."""
        return self._known.get(self._peer, -1)

    @property
    def peer(self) -> bytes:
        return self._peer

    @peer.setter
    def peer(self, title: bytes) -> None:
        self._peer = title

    def dedicate(self, key: bytes) -> None:
        """Agree on a dedicated key, new for this association: its counters start anew. SecurityError for its size."""
        if len(key) != KEY_OCTETS[self._suite]:
            raise SecurityError(Breach.LENGTH, f"a dedicated key of {len(key)} octets")
        self._dedicated = _Key(key)

    def agree_by(self, *schemes: Scheme) -> None:
        """Be ready to agree with the peer on keys by `schemes`, and no others. ConfigError when keys for that lack."""
        from dcu.dlms.agreement import Agreement  # noqa: PLC0415 - a megabyte, for meters that agree on keys

        self._agreements = {scheme: Agreement(scheme, self._suite, self._keys) for scheme in schemes}

    def protect(self, apdu: bytes, form: Ciphering = Ciphering.GLO) -> bytes:
        """Return `apdu` authenticated and encrypted inside a ciphered APDU of `form`."""
        header = self._header(AUTHENTICATED_ENCRYPTED)
        # nonce: system title and invocation counter; authenticated with it: control octet and authentication key
        additional = header[:1] + self._authentication_key
        key = self._key(form)
        general: GeneralHeader | None = None
        if form is not _GLO and form in INFORMED:
            general = self._general(header[1:], form)
            additional += general.authenticated()
            if form in AGREED:
                octets, info = self._agreements[SCHEMES[form]].originate(general)
                key, general = _Key(octets), replace(general, key=info)
        sealed = key.aead.encrypt(self._title + header[1:], apdu, additional)
        body = header + sealed[: TAG_SIZE - 16]
        content = encode_length(len(body)) + body
        if general is not None:
            return bytes((GENERAL_CIPHERING,)) + general.to_bytes() + content
        if form is _GLO:
            return bytes((GLO[apdu[0]],)) + content
        if form is Ciphering.DED:
            return bytes((DED[apdu[0]],)) + content
        tag = GENERAL_DED if form is Ciphering.GENERAL_DED else GENERAL_GLO
        return bytes((tag, TITLE_SIZE)) + self._title + content

    def unprotect(self, apdu: bytes, form: Ciphering = Ciphering.GLO) -> bytes:
        """Return the plain APDU inside the ciphered `apdu` of our peer, whether or not its tag names the service.

        SecurityError unless the key is that of `form`, the security control as ours, the counter grows, the title and
        the tag are the peer's, and the service inside is the one named outside. Nothing is remembered of an APDU that
        fails.
        """
        sealed = _take_apart(apdu)
        if sealed.form is not form and _kind(sealed.form) is not _kind(form):
            raise SecurityError(Breach.CONTROL, f"protected as {sealed.form}, not {form}")
        if sealed.general is not None:
            _check_new_key(sealed.general, self._transaction)
        return self._open(sealed, self._transaction)

    def unprotect_any(self, apdu: bytes, *, serving: bool = False) -> tuple[bytes, Ciphering]:
        """Return what `unprotect` does whichever key was used, and the form: a server answers as it was asked.

        Who is `serving` takes keys that are new with each APDU, and has the client's counter grow all the same: nothing
        else tells a question from its recording.
        """
        sealed = _take_apart(apdu)
        if sealed.general is not None and not serving:
            _check_new_key(sealed.general, b"")
        plain = self._open(sealed, counted=serving)
        self._asked = sealed.general.transaction if sealed.general is not None else b""
        return plain, sealed.form

    def gmac(self, challenge: bytes) -> bytes:
        """Return f(challenge) of HLS-GMAC: security control, invocation counter, tag."""
        header = self._header(AUTHENTICATED)
        return header + self._tag(self._title + header[1:], header, challenge)

    def check_gmac(self, proof: bytes, challenge: bytes) -> None:
        """Accept the peer's f(challenge); SecurityError otherwise. The challenge, being fresh, stops any replay."""
        header = proof[:_HEADER_SIZE]
        if len(proof) != _HEADER_SIZE + TAG_SIZE or header[0] != AUTHENTICATED | self._suite:
            raise SecurityError(Breach.PROOF, "malformed answer to the challenge")
        if not bytes_eq(proof[_HEADER_SIZE:], self._tag(self._nonce(header), header, challenge)):
            raise SecurityError(Breach.PROOF, "wrong answer to the challenge")

    def _general(self, counter: bytes, form: Ciphering) -> GeneralHeader:
        """Return the header of a question of ours, or of the answer to what was asked.

        A counter is unique under the global key. What key is agreed on follows from the transaction, and the two static
        keys outlive the global one and its counters: there it has to be one that nobody can have made before.
        """
        own = token_bytes(_TRANSACTION) if form in AGREED else counter.rjust(_TRANSACTION, b"\0")
        self._transaction = self._asked or own
        return GeneralHeader(self._transaction, self._title, self._peer)

    def _open(self, sealed: _Sealed, transaction: bytes = b"", *, counted: bool = False) -> bytes:
        self._check_header(sealed)
        key, header, body = self._key_of(sealed), sealed.header, sealed.body
        # under the global key the peer may have said more meanwhile, outside of this conversation
        counted = key is self._global or (counted and key is not self._dedicated)
        counter, last = int.from_bytes(header[1:]), self.heard if counted else key.heard
        if counter <= last:
            raise SecurityError(Breach.COUNTER, f"invocation counter {counter} after {last}")
        # the one-shot AESGCM only takes tags of 16 octets, all suites have 12
        mode = GCM(self._nonce(header), body[-TAG_SIZE:], min_tag_length=TAG_SIZE)
        decryptor = BlockCipher(key.block, mode).decryptor()
        with_it = sealed.general.authenticated() if sealed.general is not None else b""
        decryptor.authenticate_additional_data(header[:1] + self._authentication_key + with_it)
        try:
            plain = decryptor.update(body[:-TAG_SIZE]) + decryptor.finalize()
        except InvalidTag:
            raise SecurityError(Breach.TAG, "authentication tag is wrong") from None
        if sealed.plain is not None and plain[:1] != bytes((sealed.plain,)):
            raise SecurityError(Breach.SERVICE, "ciphered service differs from the one announced")
        if sealed.general is not None:
            _check_transaction(sealed.general, transaction, plain)
        # only now: a forged counter must not shut out the true ones
        if counted:
            self._known[self._peer] = counter
        else:
            key.heard = counter
        return plain

    def _check_header(self, sealed: _Sealed) -> None:
        control = AUTHENTICATED_ENCRYPTED | self._suite
        if sealed.header[0] != control:
            raise SecurityError(Breach.CONTROL, f"security control {sealed.header[0]:#04x}, not {control:#04x}")
        # a general APDU may leave the title out where the association has it
        if sealed.title not in {b"", self.peer}:
            raise SecurityError(Breach.TITLE, f"system title {sealed.title.hex()}, not {self.peer.hex()}")
        if sealed.general is not None and sealed.general.recipient not in {b"", self._title}:
            raise SecurityError(Breach.TITLE, f"meant for {sealed.general.recipient.hex()}, not for us")

    def _key_of(self, sealed: _Sealed) -> _Key:
        general = sealed.general
        if general is None or general.key is GlobalKey.UNICAST:
            return self._key(sealed.form)
        # under one key in one transaction the counters go on: nothing is said twice in it
        which = general.transaction, general.key
        if self._latest is None or self._latest[0] != which:
            self._latest = which, _Key(self._new_key(general))
        return self._latest[1]

    def _new_key(self, general: GeneralHeader) -> bytes:
        match general.key:
            case WrappedKey(wrapped):
                return self._unwrapped(wrapped)
            case AgreedKey(scheme, exchanged) if scheme in self._agreements:
                parties = replace(general, originator=self._peer, recipient=self._title)
                return self._agreements[scheme].follow(parties, exchanged)
            case GlobalKey.BROADCAST if self._keys.broadcast_key:
                return self._keys.broadcast_key
            case other:
                raise SecurityError(Breach.CONTROL, f"protected under a key that we have not: {type(other).__name__}")

    def _unwrapped(self, wrapped: bytes) -> bytes:
        if not self._keys.master_key:
            raise SecurityError(Breach.CONTROL, "protected under a wrapped key, and there is no master key")
        try:
            key = aes_key_unwrap(self._keys.master_key, wrapped)
        except InvalidUnwrap:
            raise SecurityError(Breach.TAG, "the wrapped key is not from who has the master key") from None
        if len(key) != KEY_OCTETS[self._suite]:
            raise SecurityError(Breach.LENGTH, f"a wrapped key of {len(key)} octets")
        return key

    def _key(self, form: Ciphering) -> _Key:
        if form is _GLO or form not in _DEDICATED:
            return self._global
        if self._dedicated is None:
            raise SecurityError(Breach.CONTROL, "no dedicated key was agreed")
        return self._dedicated

    def _header(self, control: int) -> bytes:
        return bytes((control | self._suite,)) + self._take_counter().to_bytes(4)

    def _nonce(self, header: bytes) -> bytes:
        if len(self.peer) != TITLE_SIZE:
            raise SecurityError(Breach.TITLE, "the peer has not given its system title")
        return self.peer + header[1:]

    def _tag(self, nonce: bytes, header: bytes, challenge: bytes) -> bytes:
        return self._global.aead.encrypt(nonce, b"", header[:1] + self._authentication_key + challenge)[:TAG_SIZE]


def is_ciphered(apdu: bytes) -> bool:
    """Whether the tag of `apdu` is one that `Cipher.unprotect` takes."""
    return bool(apdu) and (apdu[0] in _PLAIN or apdu[0] in _GENERAL)


def title_in(apdu: bytes) -> bytes:
    """Return the system title that the ciphered `apdu` says it is from, b"" where its form has none; SecurityError."""
    return _take_apart(apdu).title


def _kind(form: Ciphering) -> Ciphering:
    """Return which kind of key `form` is under: the global, the dedicated, or one agreed on by which scheme."""
    if form in AGREED:
        return form
    return Ciphering.DED if form in _DEDICATED else Ciphering.GLO


def _check_new_key(general: GeneralHeader, transaction: bytes) -> None:
    """Refuse a key that is new with this APDU, so that its counters say nothing, unless it answers our `transaction`.

    The broadcast key is judged alike: what meters used under it is not remembered.
    """
    if general.key is GlobalKey.UNICAST:
        return
    if not transaction:
        raise SecurityError(Breach.TRANSACTION, "protected under a key of its own, in answer to nothing")
    if general.transaction != transaction:
        raise SecurityError(Breach.TRANSACTION, f"transaction {general.transaction.hex()}, not {transaction.hex()}")


def _check_transaction(general: GeneralHeader, transaction: bytes, plain: bytes) -> None:
    """Refuse what answers another question. No `transaction` was ours: whoever asked names it."""
    unasked = plain[:1] and plain[0] in _UNASKED
    if transaction and general.transaction != transaction and not unasked:
        raise SecurityError(Breach.TRANSACTION, f"transaction {general.transaction.hex()}, not {transaction.hex()}")


def _take_apart(apdu: bytes) -> _Sealed:
    if apdu and not is_ciphered(apdu):
        raise SecurityError(Breach.PLAIN, f"APDU {apdu[0]:#04x} is not ciphered")
    general, title, at = None, b"", 1
    try:
        if apdu[0] == GENERAL_CIPHERING:
            general, at = GeneralHeader.from_bytes(apdu, at)
            title = general.originator
        elif apdu[0] in _GENERAL:
            title, at = octets(apdu, at)
        content, end = octets(apdu, at)
    except IndexError:
        raise SecurityError(Breach.LENGTH, "ciphered APDU is truncated") from None
    except MeterError as error:
        raise SecurityError(Breach.CONTROL if general is None else Breach.LENGTH, str(error)) from None
    if len(apdu) != end or len(content) < _HEADER_SIZE + TAG_SIZE:
        raise SecurityError(Breach.LENGTH, "ciphered APDU has the wrong length")
    plain, form = _PLAIN.get(apdu[0]) or (None, _GENERAL[apdu[0]])
    if general is not None and isinstance(general.key, AgreedKey):
        form = _AGREED_FORMS[general.key.scheme]
    return _Sealed(form, plain, title, content[:_HEADER_SIZE], content[_HEADER_SIZE:], general)
