"""What an association demands of the meter's APDUs before a word of them is believed (IEC 62056-5-3).

How protection is computed is in `security`, proofs are in `authentication`; when which APDU is due is in `association`.
"""

from collections.abc import Callable
from dataclasses import replace

from dcu.dlms.acse import AUTHENTICATION_REQUIRED, Aare, Aarq, Initiate
from dcu.dlms.authentication import HIGH_LEVEL, SECRET, TITLED, Authenticator, Party
from dcu.dlms.general_ciphering import INFORMED, SCHEMES, general_octets
from dcu.dlms.security import TITLE_SIZE, Cipher, Heard
from dcu.errors import Breach, ConfigError, SecurityError
from dcu.model import KEY_OCTETS, Access, Authentication, Ciphering, Keys

_INITIATE_FORMS = {
    Ciphering.GLO: Ciphering.GLO,
    Ciphering.DED: Ciphering.GLO,
    Ciphering.GENERAL_GLO: Ciphering.GENERAL_GLO,
    Ciphering.GENERAL_DED: Ciphering.GENERAL_GLO,
    Ciphering.GENERAL: Ciphering.GENERAL,
    # a key is agreed on by who know each other's titles, and the meter's comes with its AARE
    Ciphering.GENERAL_ONE_PASS: Ciphering.GENERAL,
    Ciphering.GENERAL_STATIC: Ciphering.GENERAL,
}

_GENERAL_FORMS = INFORMED | {Ciphering.GENERAL_GLO, Ciphering.GENERAL_DED}
#: Tag, system title, length, security header and authentication tag.
PROTECTION = 1 + 9 + 3 + 5 + 12


class Protection:
    """The client's half of the security of one association; ConfigError when access and keys do not fit together.

    `client_title` is our system title, `take_counter` gives an invocation counter never used before, `heard` remembers
    the highest that each meter used, `random` gives octets that nobody can guess.
    """

    def __init__(
        self,
        access: Access,
        keys: Keys,
        client_title: bytes,
        take_counter: Callable[[], int],
        random: Callable[[int], bytes],
        heard: Heard | None,
    ) -> None:
        if access.authentication in SECRET and not keys.password:
            raise ConfigError(f"access {access.name}: no password for {access.authentication.name}")
        counting = access.ciphered or access.authentication is Authentication.HLS_GMAC
        self._access = access
        self._password = keys.password
        self._titled = counting or access.authentication in TITLED
        if self._titled and len(client_title) != TITLE_SIZE:
            raise ConfigError("a system title has 8 octets")
        self._cipher = Cipher(keys, client_title, take_counter, suite=access.suite, heard=heard) if counting else None
        self._sealing = self._cipher if access.ciphered else None
        if self._sealing and access.ciphering in SCHEMES:
            self._sealing.agree_by(SCHEMES[access.ciphering])
        self._proofs = Authenticator(access, keys, self._cipher) if access.authentication in HIGH_LEVEL else None
        self._dedicated = b""
        if access.ciphered and access.ciphering in {Ciphering.DED, Ciphering.GENERAL_DED}:
            self._dedicated = random(KEY_OCTETS[access.suite])
        self._me = Party(
            client_title if self._titled else b"", random(self._proofs.challenge_size) if self._proofs else b""
        )
        self._meter = Party(b"", b"")

    @property
    def proving(self) -> bool:
        """Whether the association opens only after both sides have answered a challenge."""
        return self._proofs is not None

    @property
    def title(self) -> bytes:
        """The meter's system title, b"" where the association knows none."""
        return self._meter.title

    @property
    def general(self) -> bool:
        """Whether APDUs travel in the general form, which both sides must agree to."""
        return self._sealing is not None and self._access.ciphering in _GENERAL_FORMS

    @property
    def overhead(self) -> int:
        """How many octets protection adds to an APDU at most."""
        if self._sealing is None:
            return 0
        return PROTECTION + general_octets(self._access.ciphering, self._access.suite)

    def initiate(self, proposed: Initiate) -> bytes:
        """Return the InitiateRequest of `proposed`, sealed in a ciphered association; the dedicated key is in it."""
        apdu = (replace(proposed, dedicated_key=self._dedicated) if self._dedicated else proposed).request()
        return self._sealing.protect(apdu, _INITIATE_FORMS[self._access.ciphering]) if self._sealing else apdu

    def aarq(self, proposed: Initiate) -> Aarq:
        """Return the request to associate."""
        access = self._access
        secret = self._me.challenge or (self._password if access.authentication is Authentication.LLS else b"")
        return Aarq(
            self.initiate(proposed), access.ciphered, access.authentication, self._me.title, secret, access.referencing
        )

    def accept(self, aare: Aare) -> Initiate:
        """Return what the meter agrees to; SecurityError when it grants less than was asked, or mirrors our part."""
        self._check(aare)
        self._meter = Party(aare.title if self._titled else b"", aare.secret)
        if self._proofs:
            self._proofs.check_challenge(self._me, self._meter)
        if self._cipher:
            # believed from here on because every tag depends on it: another title fails the first check of one
            self._cipher.peer = aare.title
        information = aare.information
        if self._sealing:
            information = self._sealing.unprotect(information, _INITIATE_FORMS[self._access.ciphering])
            if self._dedicated:
                self._sealing.dedicate(self._dedicated)
        return Initiate.from_response(information, self._access.referencing)

    def _check(self, aare: Aare) -> None:
        if (aare.ciphered, aare.referencing) != (self._access.ciphered, self._access.referencing):
            raise SecurityError(Breach.MECHANISM, "the meter changed the application context")
        if (aare.diagnostic == AUTHENTICATION_REQUIRED) is not self.proving:
            raise SecurityError(Breach.MECHANISM, "the meter changed the authentication mechanism")
        if self.proving and aare.authentication is not self._access.authentication:
            raise SecurityError(Breach.MECHANISM, "the meter changed the authentication mechanism")
        if self._titled and (len(aare.title) != TITLE_SIZE or aare.title == self._me.title):
            raise SecurityError(Breach.TITLE, f"system title {aare.title.hex()} cannot be the meter's")

    def prove(self) -> bytes:
        """Return our answer to the meter's challenge."""
        assert self._proofs is not None
        return self._proofs.prove(self._me, self._meter)

    def check_proof(self, proof: bytes) -> None:
        """Accept the meter's answer to our challenge; SecurityError otherwise."""
        assert self._proofs is not None
        self._proofs.check(proof, self._me, self._meter)

    def protect(self, apdu: bytes) -> bytes:
        """Return `apdu` as it may leave."""
        return self._sealing.protect(apdu, self._access.ciphering) if self._sealing else apdu

    def unprotect(self, apdu: bytes) -> bytes:
        """Return the APDU in what the meter sent; SecurityError when it is not protected as this association is."""
        return self._sealing.unprotect(apdu, self._access.ciphering) if self._sealing else apdu
