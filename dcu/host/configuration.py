"""The configuration from its file. What may stand in it is not here.

YAML is parsed in a child process that ends at once, so the daemon keeps the settings and not the parser's memory.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from dcu.config.settings import Config
from dcu.forms.files import read
from dcu.host.apart import apart


def load(path: str | Path, profiles: Callable[[str | None], Mapping[str, frozenset[str]]]) -> Config:
    """Return the configuration in the file `path`; call it before threads are started.

    `profiles` gives the streams of each companion profile when it is told where the operator's lie; it is called in
    the child. Raises ConfigError with all that is wrong, one problem each.
    """
    return apart(lambda: _load(str(path), profiles))


def load_as(user: str, path: str | Path, profiles: Callable[[str | None], Mapping[str, frozenset[str]]]) -> Config:
    """Return the configuration as `load` does, as the `user` of the system finds it; root alone may ask so."""
    return apart(lambda: _load_as(user, str(path), profiles))


def _load_as(user: str, path: str, profiles: Callable[[str | None], Mapping[str, frozenset[str]]]) -> Config:
    import pwd  # noqa: PLC0415 - for root at a terminal

    _load(path, profiles)  # what is imported for it may be root's alone
    found = pwd.getpwnam(user)
    os.initgroups(user, found.pw_gid)
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)
    return _load(path, profiles)


def _load(path: str, profiles: Callable[[str | None], Mapping[str, frozenset[str]]]) -> Config:
    from dcu.config.parse import parse  # noqa: PLC0415 - YAML is loaded in the child only

    return parse(read(path), path, read=read, profiles=profiles)
