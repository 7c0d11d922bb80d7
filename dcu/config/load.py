"""The configuration from its files, bounded and with their rights checked. What may stand in them is not here.

YAML is parsed in a child process that ends at once, so the daemon keeps the settings and not the parser's memory.
"""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from dcu.config.apart import apart
from dcu.config.settings import Config
from dcu.errors import ConfigError

#: Octets of one file. 1024 meters written at length are a third of it.
MAX_FILE = 1 << 20

#: Nobody but the owner may write a secret file or be a stranger who reads it; its group may read (root:dcu 0640).
_FORBIDDEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def load(path: str | Path, profiles: Callable[[], Mapping[str, frozenset[str]]]) -> Config:
    """Return the configuration in the file `path`; call it before threads are started.

    `profiles` gives the streams of each companion profile, and is called in the child. Raises ConfigError with all
    that is wrong, one problem each.
    """
    return apart(lambda: _load(str(path), profiles()))


def _load(path: str, profiles: Mapping[str, frozenset[str]]) -> Config:
    from dcu.config.parse import parse  # noqa: PLC0415 - YAML is loaded in the child only

    return parse(read(path), path, read=read, profiles=profiles)


def read(path: str, *, secret: bool = False) -> str:
    """Return the text of a file. Raises ConfigError: unreadable, too long, not UTF-8, or a secret open to others."""
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if secret and mode & _FORBIDDEN:
        raise ConfigError(f"{path}: holds secrets and has mode {stat.S_IMODE(mode):04o}: expected 0640 or 0600")
    if len(data) > MAX_FILE:
        raise ConfigError(f"{path}: expected at most {MAX_FILE} octets")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text: {error.reason} at octet {error.start}") from error
