"""An authority for tests: certificates for whom and how long a test says, as PEM files."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dcu.config import TlsSettings

LOOPBACK = "127.0.0.1"


class Authority:
    """Signs. Its own certificate is `{name}.pem` in `folder`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.path = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path.write_bytes(self._sign(self._name, self._key, (-1, 3650), ca=True))

    def issue(self, name: str, days: tuple[float, float] = (-1, 365), address: str = LOOPBACK) -> tuple[Path, Path]:
        """Write a certificate for `address`, valid from and to so many days from now; return its path and its key's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(self._sign(subject, key, days, address=address))
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def settings(self, name: str | None = None, days: tuple[float, float] = (-1, 365)) -> TlsSettings:
        """Return the settings of a unit that trusts this authority, with a certificate `name` of its own from it."""
        if name is None:
            return TlsSettings(str(self.path))
        certificate, key = self.issue(name, days)
        return TlsSettings(str(self.path), str(certificate), str(key))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        days: tuple[float, float],
        *,
        ca: bool = False,
        address: str = LOOPBACK,
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days[0]))
            .not_valid_after(now + dt.timedelta(days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
