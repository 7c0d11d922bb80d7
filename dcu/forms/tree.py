"""What a form is once it is read: words, lists and sections that know their line. Reading YAML into it is in `node`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word as it is written; `quoted` words are text even when they look like nothing or a number."""

    text: str
    quoted: bool
    line: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    items: list["Node"]
    line: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section: keys with their values in the order of the file; a key may stand in it twice."""

    entries: list[tuple[Scalar, "Node"]]
    line: int


Node = Scalar | Listing | Section
