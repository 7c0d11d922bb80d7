"""The configuration of a daemon that serves a simulated fleet: the same files that an operator would write.

What they mean is `dcu.config`'s; the meters are `sim.fleet`'s.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

from dcu.model import Access, Authentication, Keys, Referencing
from sim.fleet import Fleet

#: Key files are their owner's alone.
SECRET_MODE = 0o600

#: What one entry of the file may hold; numbers and truth values are written bare.
Word = str | int | bool

#: One line of a timetable.
Task = Mapping[str, Word | Sequence[str]]

#: Stream → its keys; what a utility would ask of such meters.
TIMETABLE: Mapping[str, Task] = {
    "instant": {"every": "5m"},
    "load0": {"every": "15m", "offset": "60s", "backfill": "1d"},
    "load1": {"every": "15m", "offset": "2m", "backfill": "6h"},
    "daily": {"every": "1d", "offset": "10m", "backfill": "7d"},
    "billing": {"every": "1d", "offset": "20m", "backfill": "62d"},
    "event.standard": {"every": "15m", "offset": "3m", "backfill": "7d"},
    "event.fraud": {"every": "5m", "offset": "90s", "backfill": "7d"},
    "event.disconnector": {"every": "15m", "offset": "4m", "backfill": "7d"},
}

_AUTHENTICATIONS = {Authentication.NONE: "none", Authentication.LLS: "lls", Authentication.HLS_GMAC: "hls-gmac"}

#: Names, paths, addresses and durations.
_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./:-]*[A-Za-z0-9]|[0-9]{1,6}(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Site:
    """The part of a configuration that is not about meters. `uplink` and `bus` are further keys of those sections."""

    dcu: str = "DCU-0001"
    host: str = "127.0.0.1"
    port: int = 1883
    uplink: Mapping[str, Any] = field(default_factory=dict)
    bus: Mapping[str, Word] = field(default_factory=dict)
    timetable: Mapping[str, Task] = field(default_factory=lambda: TIMETABLE)


def write_site(fleet: Fleet, site: Site, directory: Path) -> Path:
    """Write dcu.yaml and keys.yaml for `fleet`, which is open, into `directory`; return the path of dcu.yaml.

    The daemon's data and socket will be in `directory` too. OSError when it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    keys = directory / "keys.yaml"
    # the mode before the content: there is no moment in which others can read a secret
    keys.touch(SECRET_MODE)
    keys.chmod(SECRET_MODE)
    keys.write_text(_keys(fleet.keys))
    configuration = directory / "dcu.yaml"
    configuration.write_text(_configuration(fleet, site))
    return configuration


def _configuration(fleet: Fleet, site: Site) -> str:
    lines = [
        f"# Simulated fleet: {len(fleet.meters)} meters, seed {fleet.plan.seed}.",
        f"dcu: {_flow({'id': site.dcu, 'data': 'data', 'socket': 'dcu.sock'})}",
        "clock: {require: plausible}",
        f"uplink: {_flow({'host': site.host, 'port': site.port, **site.uplink})}",
        "buses:",
        *(f"  - {_flow(bus)}" for bus in _buses(fleet, site)),
        "access:",
        *(f"  {access.name}: {_flow(_access(access))}" for access in fleet.access.values()),
        "keys: keys.yaml",
        "meters:",
        *(
            f"  - {_flow({'id': m.id, 'bus': m.bus, 'address': m.address, 'access': m.access, 'profile': m.profile})}"
            for m in fleet.archive
        ),
        "timetable:",
        *(f"  {stream}: {_flow(task)}" for stream, task in site.timetable.items()),
    ]
    return "\n".join(lines) + "\n"


def _buses(fleet: Fleet, site: Site) -> list[dict[str, Word]]:
    return [
        {"name": bus.name, "port": bus.path, "baud": fleet.plan.baud, "framing": fleet.framing(bus), **site.bus}
        for bus in fleet.buses
    ]


def _access(access: Access) -> dict[str, Word]:
    words: dict[str, Word] = {"client": access.client, "authentication": _AUTHENTICATIONS[access.authentication]}
    if access.ciphered:
        words["ciphered"] = True
    return {**words, "referencing": "sn"} if access.referencing is Referencing.SN else words


def _keys(keys: Mapping[str, Keys]) -> str:
    return "\n".join(["meters:", *(f"  {meter}: {_flow(_secrets(secrets))}" for meter, secrets in keys.items())]) + "\n"


def _secrets(keys: Keys) -> dict[str, Word]:
    if keys.password:
        return {"password": keys.password.decode()}
    return {name: getattr(keys, name).hex() for name in ("encryption_key", "authentication_key", "master_key")}


def _flow(words: Mapping[str, Any]) -> str:
    """Return a section of words, of lists of them, and of sections."""
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in words.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, str | int):
        return _word(value)
    if isinstance(value, Mapping):
        return _flow(value)
    return "[" + ", ".join(_word(each) for each in value) + "]"


def _word(value: Word) -> str:
    """Return `value` as YAML: a text bare where nobody can take it for something else, otherwise as in JSON."""
    return value if isinstance(value, str) and _BARE.fullmatch(value) else dumps(value)
