"""Certificates that are renewed while the daemon runs, and those that are not: when files have changed, when one ends.

Who connects again is `ways`. Of a certificate only its end is read (RFC 5280, 4.1.2.5); judging it is TLS's business.
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dcu.clock import DAY, iso, seconds
from dcu.config import TlsSettings
from dcu.errors import UplinkError
from dcu.uplink.tls import tls_context

#: Days before its end that a certificate is told of, once a day.
WARN_DAYS = 30
#: Octets of a PEM file that are looked at, and certificates in it: a chain, or some authorities, not those of a system.
MAX_FILE = 65_536
MAX_CERTIFICATES = 8

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.{1,16000}?-----END CERTIFICATE-----", re.DOTALL)

# Tags of DER (X.690, 8): what is passed over on the way to the validity, and the two kinds of time.
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def not_after(certificate: bytes) -> float:
    """Return the end of a DER certificate, UTC seconds. Raises ValueError("no certificate …") for what is none."""
    try:
        whole = _inner(certificate, _SEQUENCE)
        fields = list(_elements(_inner(whole, _SEQUENCE)))
        # version, when it is given, then serial number, signature, issuer, validity
        validity = fields[3 + (fields[0][0] == _VERSION)][1]
        _, (tag, word) = _elements(validity)
        return _time(tag, word.decode("ascii"))
    except (IndexError, ValueError) as error:
        raise ValueError(f"no certificate: {error}") from error


def _time(tag: int, word: str) -> float:
    if tag not in {_UTC_TIME, _GENERALIZED_TIME}:
        raise ValueError("no time")
    if tag == _UTC_TIME:  # two digits: 1950 to 2049
        word = ("19" if word >= "50" else "20") + word
    return seconds(datetime.strptime(word, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC))


def _inner(octets: bytes, tag: int) -> bytes:
    found, content = next(_elements(octets), (None, b""))
    if found != tag:
        raise ValueError("no sequence")
    return content


def _elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element."""
    while octets:
        tag, length, start = octets[0], octets[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(octets[2:start], "big")
        if start + length > len(octets):
            raise ValueError("cut short")
        yield tag, octets[start : start + length]
        octets = octets[start + length :]


class Renewal:
    """Watches the files of `settings`; what was told on a day is not told again on that day."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._files = [path for path in (settings.cert, settings.ca, settings.key) if path is not None]
        self._used: list[object] = []
        self._judged: list[object] = []
        self._told: dict[str, int] = {}

    def used(self) -> None:
        """Note the files that a connection is made with, where they can be; it is made with others where not."""
        marks = self._marks()
        with suppress(UplinkError):
            tls_context(self._settings)
            self._used = self._judged = marks

    def changed(self) -> bool:
        """Whether there are other files than those in use, and good ones. Raises UplinkError once for bad ones."""
        marks = self._marks()
        if marks in (self._used, self._judged):
            return False
        self._judged = marks
        tls_context(self._settings)
        return True

    def ending(self, now: float, brokers: bytes | None) -> Iterator[dict[str, object]]:
        """Yield what is to be told of certificates that end soon; `brokers` is that of the broker (DER)."""
        found = [(path, end) for path in self._files if path != self._settings.key for end in _ends(path)]
        if brokers is not None:
            found.append(("the broker's", not_after(brokers)))
        for name, end in found:
            if end - now <= WARN_DAYS * DAY and self._told.get(name) != now // DAY:
                self._told[name] = int(now // DAY)
                yield {"certificate": name, "until": iso(end), "days": int((end - now) // DAY)}

    def _marks(self) -> list[object]:
        """Return what tells a file from its successor; a file that is not there is that."""
        marks: list[object] = []
        for path in self._files:
            try:
                found = Path(path).stat()
            except OSError:
                marks.append(None)
            else:
                marks.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return marks


def _ends(path: str) -> Iterator[float]:
    """Yield the ends of the certificates in a PEM file; of what cannot be read TLS complains."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE).decode("ascii", errors="replace")
        blocks = _PEM.findall(text)[:MAX_CERTIFICATES]
        yield from [not_after(ssl.PEM_cert_to_DER_cert(block)) for block in blocks]
    except (OSError, ValueError):
        return
