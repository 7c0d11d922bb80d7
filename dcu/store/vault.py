"""Secrets sealed for the store: AES-256-GCM under a key that is kept beside the database, never in it.

Which secrets there are is `dcu.conversation.keychange`'s business, where the sealed ones lie that of `generations`.
"""

import os
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dcu.errors import ConfigError, StoreError
from dcu.forms.files import read

#: Where systemd puts credentials, and the name of ours among them (systemd.exec, LoadCredential).
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
CREDENTIAL: Final = "store-key"

_KEY_OCTETS: Final = 32
#: Random, for a box seals some thousand secrets in its life (NIST SP 800-38D, 8.3).
_NONCE_OCTETS: Final = 12


def vault_for(data: str, file: str | None) -> "Vault":
    """Return the vault of a box: under the credential where there is one, else under `file` or store.key in `data`."""
    directory = os.environ.get(CREDENTIALS)
    given = Path(directory) / CREDENTIAL if directory else None
    if given is not None and given.exists():
        return Vault(given, given=True)
    return Vault(Path(file) if file else Path(data) / "store.key")


class Vault:
    """Seals under the key in the file `path`, which is made when it is first needed, unless it is `given`.

    The key is 64 hexadecimal digits. A file of ours must not be writable by its group nor accessible to others; the
    rights of one that is given are the giver's business.
    """

    def __init__(self, path: Path, *, given: bool = False) -> None:
        self._path = path
        self._given = given
        self._aead: AESGCM | None = None

    def seal(self, label: str, secret: bytes) -> bytes:
        """Return `secret` sealed; only the same `label` opens it. ConfigError; StoreError when no key can be made."""
        nonce = token_bytes(_NONCE_OCTETS)
        return nonce + self._opened(make=True).encrypt(nonce, secret, label.encode())

    def unseal(self, label: str, sealed: bytes) -> bytes:
        """Return the secret in `sealed`. ConfigError when the key is missing, unusable, or another one."""
        try:
            return self._opened().decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], label.encode())
        except (InvalidTag, ValueError):
            raise ConfigError(f"{self._path}: not the key of this store: bring back the one it was used with") from None

    def _opened(self, *, make: bool = False) -> AESGCM:
        if self._aead is None:
            if make and not self._path.exists():
                _make(self._path)
            self._aead = AESGCM(self._key())
        return self._aead

    def _key(self) -> bytes:
        if not self._path.exists():
            raise ConfigError(f"{self._path}: the key of this store is missing: bring back the one it was used with")
        try:
            key = bytes.fromhex(read(str(self._path), secret=not self._given))
        except ValueError:
            key = b""
        if len(key) != _KEY_OCTETS:
            raise ConfigError(f"{self._path}: expected {2 * _KEY_OCTETS} hexadecimal digits")
        return key


def _make(path: Path) -> None:
    """Write a new key; it is on the disk under its name before anything is sealed with it, and whole or not there."""
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(token_hex(_KEY_OCTETS) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StoreError(f"{path}: no key can be kept there: {error.strerror}") from error
