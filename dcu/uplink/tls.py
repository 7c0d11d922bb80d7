"""The TLS context of the uplink, and in words why a handshake failed: what somebody has to do about it.

The broker is always verified. When certificates are read again, and whom their end is told, is in `renewal`.
"""

import ssl

import structlog

from dcu.config import TlsSettings
from dcu.errors import ConfigError, UplinkError
from dcu.forms.files import read

log = structlog.get_logger()

#: What is wrong with the broker's certificate, by X509_V_ERR_… of OpenSSL (x509_vfy.h).
_DISTRUST = {
    9: "is not valid yet: is this unit's clock right?",
    10: "has expired; or is this unit's clock wrong?",
    18: "is signed by itself, by no authority of tls.ca",
    19: "comes from an authority that tls.ca does not have",
    20: "comes from an authority that tls.ca does not have",
    21: "comes from an authority that tls.ca does not have",
    23: "was revoked",
    24: "comes from an authority that is none",
    62: "is for another host name",
    64: "is for another IP address",
    66: "has too weak a key",
    67: "has an authority with too weak a key",
    68: "is signed with too weak a digest",
}

_OURS = "the broker does not take this unit's certificate (tls.cert)"
_VERSION = "the broker speaks no version of TLS that we do (tls.minimum)"

#: What OpenSSL calls what the broker sent, or what we miss (sslerr.h), in the operator's words.
_REASONS = {
    "TLSV1_ALERT_UNKNOWN_CA": f"{_OURS}: it does not know its authority",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{_OURS}: it has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": f"{_OURS}: it was revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS,
    "TLSV1_ALERT_ACCESS_DENIED": _OURS,
    "TLSV1_ALERT_DECRYPT_ERROR": _OURS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the broker asks for a certificate, and tls.cert names none",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the broker ends the handshake: no certificate, or no cipher in common",
    "TLSV1_ALERT_PROTOCOL_VERSION": _VERSION,
    "UNSUPPORTED_PROTOCOL": _VERSION,
    "NO_PROTOCOLS_AVAILABLE": _VERSION,
    "UNEXPECTED_EOF_WHILE_READING": "the broker hangs up in the handshake",
    "WRONG_VERSION_NUMBER": "no TLS is spoken at this port",
    "PACKET_LENGTH_TOO_LONG": "no TLS is spoken at this port",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "the broker knows none of the protocols in tls.alpn",
    "TLSV1_UNRECOGNIZED_NAME": "the broker does not know itself by this host name",
}


class TellingSocket(ssl.SSLSocket):
    """Remembers why reading failed: a broker may refuse our certificate after the handshake (RFC 8446, 4.4.2.4)."""

    failure: ssl.SSLError | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.failure = error
            raise


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context for `settings` (PEM files). Raises UplinkError naming the file that cannot be used.

    Who connects reads it each time (`Contexts`), so that a renewed certificate takes effect without a restart.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except OSError as error:  # ssl.SSLError is one
        raise UplinkError(f"tls: {settings.ca}: {_unusable(error, 'no certificate in PEM')}") from error
    if settings.cert is not None and settings.key is not None:
        _present(context, settings.cert, settings.key)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if settings.only_13 else ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TellingSocket
    if settings.alpn:
        context.set_alpn_protocols(settings.alpn)
    return context


def _present(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have our own certificate shown to the broker. Raises UplinkError."""
    try:
        read(key, secret=True)
        # with a pass phrase OpenSSL would ask for it at the terminal
        context.load_cert_chain(certificate, key, password="")
    except ConfigError as error:
        raise UplinkError(f"tls: {error}") from error
    except OSError as error:
        fault = _unusable(error, "no certificate and its key in PEM, without a pass phrase")
        raise UplinkError(f"tls: {certificate}, {key}: {fault}") from error


def _unusable(error: OSError, what: str) -> str:
    """Say why a file cannot be used; `what` says it where OpenSSL finds nothing that it could use."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return "the key is that of another certificate" if error.reason == "KEY_VALUES_MISMATCH" else what


class Contexts:
    """Contexts for `settings`, one for each connection: of the files as they are now.

    While those cannot be used, half written perhaps, the last that could be is taken: a renewal that fails cuts no unit
    off that has lived with the certificate before.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._last: ssl.SSLContext | None = None

    def fresh(self) -> ssl.SSLContext:
        """Return the context for a connection. Raises UplinkError when the files were never good."""
        try:
            self._last = tls_context(self._settings)
        except UplinkError as error:
            if self._last is None:
                raise
            log.warning("certificates cannot be used; those before are", error=str(error))
        return self._last


def in_words(error: OSError) -> str:
    """Return what `error` says, and of a handshake that failed what is to be done."""
    if isinstance(error, ssl.SSLCertVerificationError):
        distrust = _DISTRUST.get(error.verify_code, f"is not trusted: {error.verify_message}")
        return f"tls: the broker's certificate {distrust}"
    if isinstance(error, ssl.SSLError):
        reason = str(getattr(error, "reason", "") or "")  # set by OpenSSL's errors only
        return f"tls: {_REASONS.get(reason, reason or str(error))}"
    return str(error) or type(error).__name__
