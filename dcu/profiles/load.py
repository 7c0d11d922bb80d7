"""Companion profiles from their YAML files, which lie beside this one. What they say is in `companion`."""

from pathlib import Path
from typing import Any

from dcu.errors import ConfigError
from dcu.model import INSTANT, Attribute, EventCode
from dcu.obis import parse_obis
from dcu.profiles.companion import CompanionProfile, ProfileStream

_FOLDER = Path(__file__).parent

#: Class ids of the Blue Book (IEC 62056-6-2) that an entry of each kind has when it names none.
_DATA, _REGISTER, _CLOCK, _DISCONNECT = 1, 3, 8, 70


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


def stream_names() -> dict[str, frozenset[str]]:
    """Return the streams that each profile knows, by profile name."""
    return {name: frozenset(load_profile(name).streams) | {INSTANT} for name in profile_names()}


def load_profile(name: str) -> CompanionProfile:
    """Return the profile called `name`. Raises ConfigError when there is none or its file is wrong."""
    if name not in profile_names():
        raise ConfigError(f"profile {name!r}: expected one of {', '.join(profile_names())}")
    return parse_profile(name, (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def parse_profile(name: str, text: str) -> CompanionProfile:
    """Return the profile that the YAML `text` describes. Raises ConfigError naming the first thing that is wrong."""
    import yaml  # noqa: PLC0415 - it takes 2 MB, which a caller in a child process need not leave behind

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _profile(name, yaml.load(text, Loader=loader))  # noqa: S506 - the safe one, in C where that is built
    except KeyError as error:
        raise ConfigError(f"{name}.yaml: {error.args[0]} is missing") from error
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{name}.yaml: {error}") from error


def _profile(name: str, data: dict[str, Any]) -> CompanionProfile:
    return CompanionProfile(
        name=name,
        clock=Attribute(_CLOCK, parse_obis(data["clock"])),
        disconnect=Attribute(_DISCONNECT, parse_obis(data["disconnect"])),
        identity=tuple(Attribute(_DATA, parse_obis(each)) for each in data["identity"]),
        registers=tuple(Attribute(_REGISTER, parse_obis(each)) for each in data["registers"]),
        streams={stream: _stream(**entry) for stream, entry in data["streams"].items()},
        event_codes={stream: _codes(codes) for stream, codes in data["event_codes"].items()},
    )


def _stream(object: str, period: int | None = None) -> ProfileStream:  # noqa: A002 - the file's word
    return ProfileStream(parse_obis(object), period)


def _codes(codes: dict[int, str]) -> dict[int, EventCode]:
    """Return the codes of one log; an entry reads "name" or "name, severity"."""
    parts = {code: [part.strip() for part in entry.split(",")] for code, entry in codes.items()}
    return {code: EventCode(*each) for code, each in parts.items()}
