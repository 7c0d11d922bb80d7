"""Checking a YAML tree against shapes: sections with known keys, lists, named entries; every fault is collected.

What single words must look like is in `words`; which keys a form has is said where the form is read.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from sys import intern
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from dcu.errors import ConfigError
from dcu.forms.tree import Listing, Node, Scalar, Section

T = TypeVar("T")

#: Faults shown at once. Who has more than these sees the rest after correcting some.
MAX_PROBLEMS = 50

#: Characters of a faulty word that are shown.
MAX_SHOWN = 40


class Expected(Exception):  # noqa: N818 - reads "raise Expected('a duration')"
    """A value is not what it has to be; `args[0]` says what was expected."""


class Faulty(Exception):  # noqa: N818 - no error of its own: its faults are among the problems already
    """A section cannot be built because of faults that have been reported."""


@dataclass(slots=True)
class Problems:
    """The faults found so far, one line each."""

    lines: list[str] = field(default_factory=list)

    def add(self, *lines: str) -> None:
        """Report faults; raises ConfigError when there are too many to go on."""
        self.lines += lines
        if len(self.lines) >= MAX_PROBLEMS:
            raise ConfigError(*self.lines, f"only the first {MAX_PROBLEMS} problems are shown")

    def end(self) -> None:
        """Raise ConfigError when there was any fault."""
        if self.lines:
            raise ConfigError(*self.lines)


class ReadFile(Protocol):
    """Gives the text of a file, or raises ConfigError; a secret one must not be open to others."""

    def __call__(self, path: str, *, secret: bool = False) -> str:
        """Return the text of the file at `path`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a file, with the path of keys that leads to it. What stands in a `secret` place is never shown.

    `read` gives the other files that are named here.
    """

    file: str
    path: str
    node: Node | None
    problems: Problems
    read: ReadFile
    line: int = 1
    secret: bool = False

    def inner(self, key: str, value: Node, line: int) -> "Place":
        path = key if key.startswith("[") or not self.path else f".{key}"
        return replace(self, path=self.path + path, node=value, line=line)

    def key(self, name: str) -> "Place":
        """Return the place of a key of this section, or the section itself when it is not there."""
        entries = self.node.entries if isinstance(self.node, Section) else []
        found = (self.inner(name, value, key.line) for key, value in entries if key.text == name)
        return next(found, self.inner(name, Scalar("", quoted=False, line=self.line), self.line))

    def other(self, path: str, *, secret: bool) -> str:
        """Return the text of another file; that it cannot be had is reported here."""
        try:
            return self.read(path, secret=secret)
        except ConfigError as error:
            for problem in error.problems:
                self.report(problem)
            raise Faulty from error

    def unnamed(self, outer: "Place") -> "Place":
        """Return this place without its key where that may be a secret that slipped out of its place."""
        return replace(self, path=outer.path) if self.secret else self

    def fault(self, expected: str) -> None:
        """Report FILE:LINE: key.path: expected X, got Y."""
        got = "" if self.secret else f", got {_shown(self.node)}"
        self.report(f"expected {expected}{got}")

    def report(self, text: str) -> None:
        path = f"{self.path}: " if self.path else ""
        self.problems.add(f"{self.file}:{self.line}: {path}{text}")

    def fail(self, expected: str) -> NoReturn:
        """Report a fault that leaves nothing of this value."""
        self.fault(expected)
        raise Faulty


Reader = Callable[[Place], Any]


def _shown(value: Node | None) -> str:
    match value:
        case Section():
            return "a section"
        case Listing():
            return "a list"
        case Scalar(text, quoted) if text or quoted:
            return f"{clipped(text)!r}" if text.isprintable() else clipped(text)
        case _:
            return "nothing"


def clipped(text: str) -> str:
    """Return `text` as one short line: a message must not carry a file into the log."""
    shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    return shown if shown.isprintable() else ascii(shown)


def is_empty(value: Node | None) -> bool:
    """Whether nothing was written: `key:` or `key: null` counts as a key left out."""
    return value is None or (isinstance(value, Scalar) and not value.quoted and value.text in {"", "~", "null"})


def section(place: Place) -> Iterator[tuple[str, Place]]:
    """Yield the keys of a section and their values. A key given twice is a fault."""
    if is_empty(place.node):
        return
    if not isinstance(place.node, Section):
        place.fail("a section (key: value)")
    first: dict[str, int] = {}
    for key, value in place.node.entries:
        inner = place.inner(clipped(key.text), value, key.line)
        if key.text in first:
            inner.unnamed(place).report(f"given twice, first on line {first[key.text]}")
            continue
        first[key.text] = key.line
        yield key.text, inner


@dataclass(frozen=True)
class Shape(Generic[T]):
    """A section with fixed keys, each with its reader, which `make` turns into one value.

    A key that is not given is left to the default of `make`, unless it is required.
    """

    make: Callable[..., T]
    required: Mapping[str, Reader]
    optional: Mapping[str, Reader] = field(default_factory=dict)

    def __call__(self, place: Place) -> T:
        values = self.read(place)
        if self.required.keys() - values.keys():
            raise Faulty
        return self.make(**values)

    def read(self, place: Place) -> dict[str, Any]:
        """Return the values of the sound keys; what is wrong or missing is reported."""
        values = self._sound(place)
        for key in self.required:
            if key not in values and is_empty(place.key(key).node):
                place.report(f"expected the key {key!r}")
        return values

    def _sound(self, place: Place) -> dict[str, Any]:
        known = {**self.required, **self.optional}
        values = {}
        for key, inner in section(place):
            reader = known.get(key)
            if reader is None:
                inner.unnamed(place).report(
                    "unknown key" + (suggestion(key, known) or f"; known are {', '.join(known)}")
                )
                continue
            if is_empty(inner.node):
                continue
            for value in attempt(reader, inner):
                values[key] = value
        return values


def suggestion(word: str, known: Collection[str]) -> str:
    """Return which of the `known` words somebody may have meant by `word`, to stand behind the fault; "" for none."""
    from difflib import get_close_matches  # noqa: PLC0415 - for who made a mistake

    close = get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def attempt(reader: Callable[[Place], T], place: Place) -> Iterator[T]:
    """Yield the value at `place`, or nothing when it is faulty: the fault is reported."""
    try:
        yield reader(place)
    except Expected as error:
        place.fault(error.args[0])
    except Faulty:
        return


def items(reader: Callable[[Place], T], most: int) -> Callable[[Place], list[tuple[T, Place]]]:
    """Return a reader of lists of up to `most` entries; it gives the sound entries with their places."""

    def read(place: Place) -> list[tuple[T, Place]]:
        if is_empty(place.node):
            return []
        if not isinstance(place.node, Listing):
            place.fail("a list (lines that begin with '- ')")
        if len(place.node.items) > most:
            place.report(f"expected at most {most} entries, got {len(place.node.items)}")
        places = (place.inner(f"[{i}]", each, each.line) for i, each in enumerate(place.node.items[:most]))
        return [(value, inner) for inner in places for value in attempt(reader, inner)]

    return read


def named(reader: Callable[[str, Place], T], most: int) -> Callable[[Place], list[tuple[T, Place]]]:
    """Return a reader of sections whose keys are names of the operator's choice, up to `most` of them."""

    def read(place: Place) -> list[tuple[T, Place]]:
        entries = list(islice(section(place), most + 1))
        if len(entries) > most:
            place.report(f"expected at most {most} entries")
        return [
            (value, inner) for name, inner in entries[:most] for value in attempt(partial(reader, intern(name)), inner)
        ]

    return read
