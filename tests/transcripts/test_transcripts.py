"""Plays the transcripts beside it: what the client writes must be those octets, and what it concludes those words.

A transcript begins with who talks, then verbs and what follows from each. `>` octets we write, `<` octets the meter
says, `=` the event that results, `-` nothing results yet, `!` the error and part of its text, `#` a remark.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.association import Associated, Association, Event, Notified, Released, Response
from dcu.dlms.axdr import Typed
from dcu.dlms.hdlc import ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import NEED_DATA, Link, Transmit
from dcu.dlms.moment import DateTime
from dcu.dlms.services import Action, Get, GetList, Read, Set, SetList, Variable, Write, by_entry, by_range
from dcu.dlms.wrapper import WrapperLink
from dcu.errors import MeterError
from dcu.model import Access, Attribute, Authentication, Ciphering, Keys, Referencing
from dcu.obis import parse_obis

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))
KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0xD0, 0xE0)))
#: Those of a meter of suite 2.
LONG_KEYS = Keys(encryption_key=bytes(range(32)), authentication_key=bytes(range(0xB0, 0xD0)))
TITLE = b"DCU00001"
CHALLENGE = b"client challenge"

LINKS: dict[str, Callable[..., Link]] = {
    "hdlc": lambda client, logical, physical: HdlcLink(client, ServerAddress(logical, physical)),
    "wrapper": WrapperLink,
}
MANAGEMENT = Access("management", 1, Authentication.HLS_GMAC, ciphered=True)
OLD = Access("old-reader", 2, Authentication.LLS, referencing=Referencing.SN)
ACCESS = {
    "public": Access("public"),
    "lls": Access("reader", 2, Authentication.LLS),
    "short": OLD,
    "short-ciphered": replace(OLD, ciphered=True),
    "hls-md5": Access("md5", 3, Authentication.HLS_MD5),
    "hls-sha1": Access("sha1", 4, Authentication.HLS_SHA1),
    "hls-sha256": Access("sha256", 6, Authentication.HLS_SHA256),
    "hls-gmac-ciphered": MANAGEMENT,
    "dedicated": replace(MANAGEMENT, suite=1, ciphering=Ciphering.DED),
    "suite-2": replace(MANAGEMENT, suite=2),
    "general-ciphering": replace(MANAGEMENT, ciphering=Ciphering.GENERAL),
    "general-glo": replace(MANAGEMENT, ciphering=Ciphering.GENERAL_GLO),
}


def attribute(text: str) -> Attribute:
    """3/1-0:32.7.0.255/2"""
    class_id, name, index = text.split("/")
    return Attribute(int(class_id), parse_obis(name), int(index))


def typed(text: str) -> Typed:
    """u8:5 or octets:6162"""
    kind, _, value = text.partition(":")
    return axdr.octets(bytes.fromhex(value)) if kind == "octets" else axdr.u8(int(value))


def writing(words: list[str]) -> Set | SetList:
    """Attributes and values in turn."""
    items = tuple(Set(attribute(name), typed(value)) for name, value in zip(words[::2], words[1::2], strict=True))
    return SetList(items) if len(items) > 1 else items[0]


def acting(method: str, argument: str) -> Action:
    target = attribute(method)
    return Action(target.class_id, target.name, target.index, typed(argument))


def by_short_names(verb: str, words: list[str]) -> Read | Write:
    """`read` names, `span` a name and the UTC seconds of its first and last row, `put` a name and a value."""
    names = [Variable(int(word, 16)) for word in (words if verb == "read" else words[:1])]
    if verb == "put":
        return Write(((names[0], typed(words[1])),))
    if verb == "span":
        start, end = (axdr.octets(DateTime.from_utc(int(word)).to_bytes()) for word in words[1:])
        names = [Variable(names[0].name, by_range(attribute("8/0-0:1.0.0.255/2"), start, end))]
    return Read(tuple(names))


class Player:
    """One transcript being played: what was written and not yet read by a `>` line, and the last event."""

    def __init__(self, link: str) -> None:
        self.link = LINKS[link.split(maxsplit=1)[0]](*map(int, link.split()[1:]))
        self.association: Association | None = None
        self.written = b""
        self.event: Event = NEED_DATA
        self.error: MeterError | None = None

    def play(self, mark: str, rest: str) -> None:
        match mark:
            case ">":
                octets = bytes.fromhex(rest)
                assert self.written[: len(octets)].hex(" ") == octets.hex(" ")
                self.written = self.written[len(octets) :]
            case "<":
                assert not self.written
                self.hear(bytes.fromhex(rest))
            case "=":
                assert self.told() == rest
            case "-":
                assert self.event == NEED_DATA
            case "!":
                name, _, text = rest.partition(" ")
                assert type(self.error).__name__ == name
                assert text in str(self.error)
            case _:
                self.written += self.do(mark, rest.split())

    def do(self, verb: str, words: list[str]) -> bytes:
        if verb == "access":
            self.association = Association(
                self.link,
                ACCESS[words[0]],
                LONG_KEYS if ACCESS[words[0]].suite == 2 else KEYS,
                client_title=TITLE,
                take_counter=count(1).__next__,
                challenge=lambda _: CHALLENGE,
            )
            return b""
        assert self.association is not None
        if verb in {"connect", "retry", "release"}:
            return bytes(getattr(self.association, verb)())
        if verb in {"write", "act"}:
            return self.association.send(writing(words) if verb == "write" else acting(*words))
        if verb in {"read", "span", "put"}:
            return self.association.send(by_short_names(verb, words))
        attributes = tuple(map(attribute, words))
        if verb == "rows":
            return self.association.send(Get(attributes[0], by_entry(1, 0)))
        return self.association.send(GetList(attributes) if verb == "list" else Get(attributes[0]))

    def hear(self, data: bytes) -> None:
        assert self.association is not None
        self.association.receive_data(data)
        try:
            while isinstance(event := self.association.next_event(), Transmit):
                self.written += event.data
            self.event, self.error = event, None
        except MeterError as error:
            self.error = error

    def told(self) -> Any:
        match self.event:
            case Associated(conformance, max_pdu, title):
                return f"associated {conformance:#08x} {max_pdu} {title.hex()}".strip()
            case Response(results):
                return " ".join(str(result) for result in results)
            case Released():
                return "released"
            case Notified(notification):
                return f"notified {notification}"
            case other:
                return str(other)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    player = Player(lines[0])
    for line in lines[1:]:
        mark, _, rest = line.partition(" ")
        player.play(mark, rest.partition("  #")[0].strip())
    assert not player.written


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 8
