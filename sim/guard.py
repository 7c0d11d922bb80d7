"""The meter's half of the security of one association: who is admitted, proofs, protection of APDUs.

It uses the daemon's own ciphers in the other direction; which services are given to whom is `sim.server`'s.
"""

from dataclasses import replace
from typing import Any, Final

from dcu.dlms.acse import (
    ACCEPTED,
    AUTHENTICATION_FAILURE,
    AUTHENTICATION_REQUIRED,
    CONTEXT_NOT_SUPPORTED,
    MECHANISM_NOT_RECOGNISED,
    REJECTED,
    Aare,
    Aarq,
    Initiate,
)
from dcu.dlms.authentication import HIGH_LEVEL, TITLED, Authenticator, Party
from dcu.dlms.general_ciphering import INFORMED, Scheme, general_octets
from dcu.dlms.security import TITLE_SIZE, Cipher
from dcu.errors import Breach, SecurityError
from dcu.model import CURVE_OCTETS, Access, Authentication, Ciphering
from sim.household import INSTALLED, noise
from sim.meter import SimMeter

#: A meter that lost its memory starts its invocation counter where its clock puts it, beyond all it used before.
_COUNTS_PER_SECOND: Final = 4
#: Tag, length, security control, invocation counter and authentication tag around an APDU.
_OVERHEAD: Final = 22
#: Invocation counter in the answer to a GMAC challenge.
_COUNTER: Final = slice(1, 5)


class Guard:
    """What stands between one client and `meter`; `access` says what is demanded, the meter's plate which suite."""

    def __init__(self, meter: SimMeter, access: Access) -> None:
        self._meter = meter
        self._access = replace(access, suite=meter.plate.suite, referencing=meter.plate.referencing)
        self.forget()

    @property
    def overhead(self) -> int:
        """How many octets protection adds to an answer at most."""
        if self._cipher is None or not self._access.ciphered:
            return 0
        if self._form in INFORMED:
            return _OVERHEAD + general_octets(self._form, self._access.suite)
        return _OVERHEAD + (TITLE_SIZE + 1 if self._form in {Ciphering.GENERAL_GLO, Ciphering.GENERAL_DED} else 0)

    @property
    def proving(self) -> bool:
        """Whether a challenge was given: only the proof is heard."""
        return self._proofs is not None

    def forget(self) -> None:
        """Be as before any association."""
        self._cipher: Cipher | None = None
        self._proofs: Authenticator | None = None
        self._form = Ciphering.GLO
        self._me = self._client = Party(b"", b"")

    def refusal(self, request: Aarq) -> int:
        """Return the diagnostic that refuses `request`, or 0."""
        access, keys = self._access, self._meter.keys
        if (request.ciphered, request.referencing) != (access.ciphered, access.referencing):
            return CONTEXT_NOT_SUPPORTED
        if request.authentication is not access.authentication:
            return MECHANISM_NOT_RECOGNISED
        if access.authentication is Authentication.LLS and request.secret != keys.password:
            return AUTHENTICATION_FAILURE
        if access.authentication in TITLED and len(request.title) != TITLE_SIZE:
            return AUTHENTICATION_FAILURE
        return AUTHENTICATION_FAILURE if access.ciphered and not keys.encryption_key else 0

    def admit(self, request: Aarq, now: float) -> Initiate:
        """Return the client's InitiateRequest; from here on a ciphered association ciphers.

        ConfigError, MeterError or SecurityError when the request is not one of this meter's client.
        """
        access, meter = self._access, self._meter
        if access.ciphered or access.authentication is Authentication.HLS_GMAC:
            self._count(now)
            self._cipher = Cipher(
                meter.keys,
                meter.title,
                meter.take_counter,
                suite=access.suite,
                heard={request.title: meter.heard},
            )
            self._cipher.peer = request.title
            if access.suite in CURVE_OCTETS and meter.keys.agreement_key:
                self._cipher.agree_by(*Scheme)
        initiate = Initiate.from_request(self.unprotect(request.information))
        if self._cipher and initiate.dedicated_key:
            self._cipher.dedicate(initiate.dedicated_key)
        if access.authentication in HIGH_LEVEL:
            self._proofs = Authenticator(access, meter.keys, self._cipher)
            self._client = Party(request.title, request.secret)
            self._me = Party(meter.title, self._challenge(self._proofs.challenge_size))
            self._proofs.check_challenge(self._me, self._client)
        return initiate

    def _count(self, now: float) -> None:
        self._meter.spoken = max(self._meter.spoken, int((now - INSTALLED) * _COUNTS_PER_SECOND))

    def _challenge(self, size: int) -> bytes:
        """Return StoC; that it differs each time is enough here, the meter's secrets are nobody's."""
        plate, number = self._meter.plate, self._meter.take_counter()
        return b"".join(noise(plate.seed, plate.id, "challenge", number, at).to_bytes(8) for at in range(0, size, 8))

    def accepted(self, initiate: Initiate) -> bytes:
        """Return the AARE that grants `initiate`."""
        information = initiate.response(self._access.referencing)
        return self._aare(ACCEPTED, AUTHENTICATION_REQUIRED if self.proving else 0, self.protect(information))

    def rejected(self, diagnostic: int) -> bytes:
        """Return the AARE that says why not."""
        return self._aare(REJECTED, diagnostic)

    def _aare(self, result: int, diagnostic: int, information: bytes = b"") -> bytes:
        access = self._access
        titled = access.ciphered or access.authentication in TITLED
        title = self._meter.title if titled else b""
        proof = (access.authentication, title, self._me.challenge)
        return Aare(information, result, diagnostic, access.ciphered, *proof, access.referencing).to_bytes()

    def prove(self, proof: Any) -> bytes:
        """Return our own proof when `proof` answers our challenge; SecurityError when it does not."""
        assert self._proofs is not None
        proof = proof if isinstance(proof, bytes) else b""
        if not self._access.ciphered and self._access.authentication is Authentication.HLS_GMAC:
            self._hear(int.from_bytes(proof[_COUNTER]))
        self._proofs.check(proof, self._me, self._client)
        return self._proofs.prove(self._me, self._client)

    def _hear(self, counter: int) -> None:
        if counter <= self._meter.heard:
            raise SecurityError(Breach.COUNTER, f"invocation counter {counter} after {self._meter.heard}")
        self._meter.heard = counter

    def unprotect(self, apdu: bytes) -> bytes:
        """Return the request in `apdu`; SecurityError when it is not protected as it must be."""
        if self._cipher is None or not self._access.ciphered:
            return apdu
        plain, self._form = self._cipher.unprotect_any(apdu, serving=True)
        # the meter remembers over associations and clients, or a recorded request could be played again
        self._meter.heard = self._cipher.heard
        return plain

    def protect(self, apdu: bytes) -> bytes:
        """Return `apdu` protected as the latest request was."""
        return self._cipher.protect(apdu, self._form) if self._cipher and self._access.ciphered else apdu
