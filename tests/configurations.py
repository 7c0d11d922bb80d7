"""Configurations for tests: a good one, changed by replacing words, and what the check says of it."""

from collections.abc import Mapping

import pytest

from dcu.config.parse import parse
from dcu.config.settings import Config
from dcu.errors import ConfigError

FILE = "/etc/dcu/dcu.yaml"
KEYS_FILE = "/etc/dcu/keys.yaml"
PROFILES = {"idis": frozenset({"instant", "load0", "daily", "event.fraud"})}

GOOD = """\
dcu: {id: DCU-0001}
uplink:
  host: localhost
buses:
  - {name: rs485-1, port: /dev/ttyS1}
  - {name: gateway, port: "tcp://10.0.0.7:4059", framing: wrapper}
access:
  reader: {client: 2, authentication: lls}
  management: {client: 1, authentication: hls-gmac, ciphered: true}
keys: keys.yaml
meters:
  - {id: M0001, bus: rs485-1, address: 17, access: reader, profile: idis}
  - {id: M0002, bus: gateway, address: 1, access: management, profile: idis}
timetable:
  instant: {every: 5m}
  load0: {every: 15m, offset: 60s, backfill: 1d}
"""

KEYS = """\
default: {password: secret}
meters:
  M0002: {encryption_key: 000102030405060708090a0b0c0d0e0f, authentication_key: d0d1d2d3d4d5d6d7d8d9dadbdcdddedf}
"""


def parsed(
    text: str, files: Mapping[str, str] | None = None, profiles: Mapping[str, frozenset[str]] = PROFILES
) -> Config:
    """Parse `text` as FILE, with `files` (default: the good keys) beside it."""
    available = {KEYS_FILE: KEYS} if files is None else files

    def read(path: str, *, secret: bool = False) -> str:
        if path not in available:
            raise ConfigError(f"{path}: cannot be read")
        return available[path]

    return parse(text, FILE, read=read, profiles=lambda _: profiles)


def good(old: str = "", new: str = "") -> str:
    """Return the good configuration with the first `old` in it replaced by `new`."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def faults(text: str, files: Mapping[str, str] | None = None) -> list[str]:
    """Return the problems found in `text`, without the directory of the file."""
    with pytest.raises(ConfigError) as caught:
        parsed(text, files)
    return [problem.removeprefix("/etc/dcu/") for problem in caught.value.problems]
