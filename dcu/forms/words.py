"""What single words of a form must look like: names, numbers in a range, durations, keys, paths, ports.

Each reader takes a place and returns the value, or raises `Expected` with what should stand there.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from pathlib import PurePath
from sys import intern
from typing import TypeVar

from dcu.forms.shape import Expected, Faulty, Place
from dcu.forms.tree import Scalar
from dcu.model import Attribute
from dcu.obis import parse_obis

T = TypeVar("T")

#: Characters of one word. The longest is a path or a password.
MAX_WORD = 1024

#: Characters of a serial number; COSEM's device ID 1 has up to 48 (IEC 62056-6-2, 6.2.39).
MAX_SERIAL = 48

#: `sockaddr_un.sun_path` holds 108 octets with the final zero (unix(7)).
MAX_SOCKET_PATH = 107

#: A topic has at most seven slashes (some cloud brokers), and `PREFIX/DCU/meter/METER/state` takes four of them.
MAX_PREFIX_SLASHES = 3

#: Before the name of a credential, where a path may stand.
CREDENTIAL = "credential:"

#: What a name is, for people.
NAME = "a name (letters, digits, '.', '_', '-'; at most 64)"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_TCP = re.compile(r"tcp://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_NUMBER = re.compile(r"[0-9]{1,12}")
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_SIZE = re.compile(r"[0-9]{1,6}[kMGT]B")
_SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)%")
_ATTRIBUTE = re.compile(r"([0-9]{1,5})/([^/]{1,40})/([0-9]{1,3})")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def text(place: Place, expected: str = "text") -> str:
    """Return what is written, numbers too as they are written: the meter 00123 keeps its zeros."""
    if not isinstance(place.node, Scalar) or not place.node.text or len(place.node.text) > MAX_WORD:
        raise Expected(expected)
    if not place.node.text.isprintable():
        raise Expected(f"{expected} without control characters")
    return place.node.text


def name(place: Place) -> str:
    """Return a name that may stand in an MQTT topic and in a file name."""
    word = text(place, NAME)
    if not _NAME.fullmatch(word):
        raise Expected(NAME)
    # The same bus and profile is named a thousand times, and the pickled result holds it once.
    return intern(word)


def serial(place: Place) -> str:
    """Return a serial number as it stands on the nameplate."""
    expected = f"a serial number of at most {MAX_SERIAL} characters"
    word = text(place, expected)
    if len(word) > MAX_SERIAL:
        raise Expected(expected)
    return word


def named(key: str, place: Place) -> str:
    """Return the key of an entry that the operator named; one that is no name is reported."""
    if not _NAME.fullmatch(key):
        place.report(f"expected {NAME} as key")
        raise Faulty
    return key


def host(place: Place) -> str:
    expected = "a host name or an IP address, without a port"
    word = text(place, expected)
    if not _HOST.fullmatch(word) or (":" in word and not _is_address(word)):
        raise Expected(expected)
    return word


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def port(place: Place) -> str:
    """Return the port of a bus: a device path, or tcp://HOST:PORT."""
    expected = "a device such as /dev/ttyS1, or tcp://HOST:PORT"
    word = text(place, expected)
    match = _TCP.fullmatch(word)
    if not (match and 0 < int(match[1]) < 65536) and not word.startswith("/"):
        raise Expected(expected)
    return word


def prefix(place: Place) -> str:
    """Return a topic prefix of at most four levels without wildcards; `$` topics are the broker's own."""
    expected = f"a topic prefix of at most {MAX_PREFIX_SLASHES + 1} levels such as ami/v1"
    word = text(place, expected)
    levels = word.split("/")
    if not all(_NAME.fullmatch(level) for level in levels) or len(levels) > MAX_PREFIX_SLASHES + 1:
        raise Expected(expected)
    return word


def path(place: Place) -> str:
    """Return a path; a relative one is relative to the file it stands in."""
    return str(PurePath(place.file).parent / text(place, "a path"))


def secret_path(place: Place) -> str:
    """Return the path of a file with something secret, or of a credential of the service (systemd.exec(5))."""
    word = text(place, "a path, or credential:NAME")
    if not word.startswith(CREDENTIAL):
        return path(place)
    folder, credential = os.environ.get("CREDENTIALS_DIRECTORY"), word.removeprefix(CREDENTIAL)
    if folder is None or not _NAME.fullmatch(credential):
        raise Expected("credential:NAME of one that systemd passes on (LoadCredential=)")
    return str(PurePath(folder) / credential)


def socket_path(place: Place) -> str:
    full = path(place)
    if len(full.encode()) > MAX_SOCKET_PATH:
        raise Expected(f"a path of at most {MAX_SOCKET_PATH} octets")
    return full


def boolean(place: Place) -> bool:
    word = text(place, "true or false").lower()
    if word not in _BOOLEANS:
        raise Expected("true or false")
    return _BOOLEANS[word]


def number(least: int, most: int) -> Callable[[Place], int]:
    """Return a reader of whole numbers from `least` to `most`, both not negative."""

    def read(place: Place) -> int:
        expected = f"a whole number from {least} to {most}"
        word = text(place, expected)
        if not _NUMBER.fullmatch(word) or not least <= int(word) <= most:
            raise Expected(expected)
        return int(word)

    return read


def span(least: int, most: int) -> Callable[[Place], range]:
    """Return a reader of ranges such as 17-250, or single numbers, from `least` to `most`."""

    def read(place: Place) -> range:
        expected = f"a range such as 17-250, or a number, from {least} to {most}"
        first, _, last = text(place, expected).replace(" ", "").partition("-")
        last = last or first
        if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(last) and least <= int(first) <= int(last) <= most):
            raise Expected(expected)
        return range(int(first), int(last) + 1)

    return read


def duration(least: str, most: str) -> Callable[[Place], float]:
    """Return a reader of durations in seconds, given and bounded as 500ms, 20s, 5m, 1h30m, 2d."""
    low, high = _seconds(least), _seconds(most)

    def read(place: Place) -> float:
        expected = f"a duration from {least} to {most}, such as 20s, 5m, 1h30m"
        word = text(place, expected)
        if not _DURATION.fullmatch(word) or not low <= _seconds(word) <= high:
            raise Expected(expected)
        return _seconds(word)

    return read


def size(least: str, most: str) -> Callable[[Place], int]:
    """Return a reader of sizes in octets, given and bounded as 500MB, 2GB; a kB is 1000 octets."""
    low, high = _octets(least), _octets(most)

    def read(place: Place) -> int:
        expected = f"a size from {least} to {most}, such as 500MB, 2GB"
        word = text(place, expected)
        if not _SIZE.fullmatch(word) or not low <= _octets(word) <= high:
            raise Expected(expected)
        return _octets(word)

    return read


def _octets(word: str) -> int:
    return int(word[:-2]) * _SIZES[word[-2:]]


def time_of_day(place: Place) -> float:
    """Return seconds after midnight, given as 23:59 or 23:59:30."""
    expected = "a time of day such as 02:30"
    match = _TIME.fullmatch(text(place, expected))
    if match is None:
        raise Expected(expected)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds


def zone(place: Place) -> tzinfo:
    """Return a time zone of the system's database, given by its name."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - most units keep to UTC and need no zones in memory

    expected = "a time zone such as UTC or Europe/Zurich, from the system's database (tzdata)"
    word = text(place, expected)
    try:
        return UTC if word == "UTC" else ZoneInfo(word)
    except (KeyError, ValueError, OSError):  # unknown, not even a relative path, or a directory of the database
        raise Expected(expected) from None


def share(least: int, most: int) -> Callable[[Place], float]:
    """Return a reader of percentages from `least` to `most`, giving a fraction of 1."""

    def read(place: Place) -> float:
        expected = f"a percentage from {least}% to {most}%"
        match = _PERCENT.fullmatch(text(place, expected))
        if match is None or not least <= float(match[1]) <= most:
            raise Expected(expected)
        return float(match[1]) / 100

    return read


def _seconds(word: str) -> float:
    return sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(word))


def choice(options: Mapping[str, T], expected: str = "") -> Callable[[Place], T]:
    """Return a reader of one of the words of `options`, giving what it stands for."""
    expected = expected or f"one of {', '.join(options)}"

    def read(place: Place) -> T:
        word = text(place, expected)
        if word not in options:
            raise Expected(expected)
        return options[word]

    return read


def octets(*counts: int) -> Callable[[Place], bytes]:
    """Return a reader of exactly one of `counts` octets in hexadecimal."""

    def read(place: Place) -> bytes:
        numbers, digits = (" or ".join(map(str, some)) for some in (counts, [2 * count for count in counts]))
        expected = f"{numbers} octets as {digits} hexadecimal digits"
        word = text(place, expected)
        if len(word) not in {2 * count for count in counts} or not re.fullmatch("[0-9A-Fa-f]*", word):
            raise Expected(expected)
        return bytes.fromhex(word)

    return read


def logical_name(place: Place) -> bytes:
    """Return the logical name of an object, given as an OBIS code."""
    expected = "a logical name such as 0-0:43.1.0.255"
    return logical_name_of(text(place, expected), expected)


def logical_name_of(word: str, expected: str) -> bytes:
    """Return the logical name that `word` is."""
    try:
        return parse_obis(word)
    except ValueError:
        raise Expected(expected) from None


def attribute(place: Place) -> Attribute:
    """Return an attribute: the value of a register by its logical name, or any other as CLASS/NAME/ATTRIBUTE."""
    expected = "a logical name such as 1-0:32.7.0.255, or CLASS/NAME/ATTRIBUTE such as 1/0-0:96.1.0.255/2"
    word = text(place, expected)
    match = _ATTRIBUTE.fullmatch(word)
    kind, name, index = match.groups() if match else ("3", word, "2")
    try:
        found = Attribute(int(kind), parse_obis(name), int(index))
    except ValueError:
        raise Expected(expected) from None
    if not (0 < found.class_id <= 0xFFFF and 0 < found.index <= 0x7F):
        raise Expected(expected)
    return found


def password(place: Place) -> bytes:
    """Return a password or HLS secret: text, or hex: and hexadecimal digits."""
    expected = "text, or hex: and pairs of hexadecimal digits"
    word = text(place, expected)
    if not word.startswith("hex:"):
        return word.encode()
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", word[4:]):
        raise Expected(expected)
    return bytes.fromhex(word[4:])
