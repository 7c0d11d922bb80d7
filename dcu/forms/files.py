"""Reading a file that people wrote: bounded, as text, and with its rights checked when it holds secrets."""

import os
import stat

from dcu.errors import ConfigError

#: Octets of one file. 1024 meters written at length are a third of it.
MAX_FILE = 1 << 20

#: Nobody but the owner may write a secret file or be a stranger who reads it; its group may read (root:dcu 0640).
_FORBIDDEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def read(path: str, *, secret: bool = False) -> str:
    """Return the text of a file. Raises ConfigError: unreadable, no file, too long, no UTF-8, or a secret open."""
    try:
        with open(path, "rb", opener=_open) as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path}: expected a regular file")
    if secret and mode & _FORBIDDEN:
        raise ConfigError(f"{path}: holds secrets and has mode {stat.S_IMODE(mode):04o}: expected 0640 or 0600")
    if len(data) > MAX_FILE:
        raise ConfigError(f"{path}: expected at most {MAX_FILE} octets")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text: {error.reason} at octet {error.start}") from error


def _open(path: str, flags: int) -> int:
    """Open `path` without waiting for somebody to write into it, as a pipe would have us do."""
    return os.open(path, flags | os.O_NONBLOCK)
