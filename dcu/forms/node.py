"""YAML text to a small tree with line numbers, bounded in size, depth and time. What the text means is in `shape`.

The parser's events are taken one by one: its own tree builders recurse, and expand aliases without a bound. Anchors,
aliases, tags and second documents have no use in a configuration and are refused.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events

from dcu.errors import ConfigError
from dcu.forms.tree import Listing, Node, Scalar, Section

#: The deepest key, meters[0].id, lies at 3.
MAX_DEPTH = 8

#: 1024 meters of nine keys are twenty thousand.
MAX_NODES = 100_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose(text: str, file: str) -> Node | None:
    """Return the tree of `text`, None when it is empty. Raises ConfigError for what is no YAML or out of bounds."""
    builder = _Builder(file)
    # A lone surrogate has no UTF-8 form; as "?" it fails where it matters.
    data = text.encode(errors="replace")
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            builder.receive(event)
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark)
        tab = ", expected spaces where a tab stands" if _indented_by_tab(data, line) else ""
        raise ConfigError(f"{file}:{line}: not YAML: {error.problem}{tab}") from error
    except yaml.reader.ReaderError as error:
        line = data.count(b"\n", 0, error.position) + 1
        raise ConfigError(f"{file}:{line}: not YAML: {error.reason}") from error
    return builder.root


def _indented_by_tab(data: bytes, line: int) -> bool:
    """Whether a tab stands among what `line` (counted from 1) begins with, or in the one before it."""
    near = data.splitlines()[max(0, line - 2) : line]
    return any(b"\t" in each[: len(each) - len(each.lstrip())] for each in near)


def _line(mark: Any) -> int:
    """Return the line of a mark, counted from 1. The two parsers have their own classes of marks."""
    return mark.line + 1 if mark is not None else 1


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; a mapping's keys and values alternate in `items`."""

    line: int
    is_mapping: bool
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class _Builder:
    file: str
    root: Node | None = None
    _stack: list[_Open] = field(default_factory=list)
    _nodes: int = 0

    def receive(self, event: events.Event) -> None:
        line = _line(event.start_mark)
        match event:
            case events.ScalarEvent():
                self._refuse_extras(event, line)
                self._add(Scalar(event.value, bool(event.style), line))
            case events.CollectionStartEvent():
                self._refuse_extras(event, line)
                self._open(_Open(line, isinstance(event, events.MappingStartEvent)))
            case events.CollectionEndEvent():
                self._close()
            case events.AliasEvent():
                self._refuse(line, "no aliases (*name)")
            case events.DocumentStartEvent() if self.root is not None:
                self._refuse(line, "one document")

    def _refuse_extras(self, event: events.ScalarEvent | events.CollectionStartEvent, line: int) -> None:
        if event.anchor is not None:
            self._refuse(line, "no anchors (&name)")
        if event.tag is not None:
            self._refuse(line, "no tags (!name)")

    def _refuse(self, line: int, expected: str) -> None:
        raise ConfigError(f"{self.file}:{line}: expected {expected}")

    def _open(self, collection: _Open) -> None:
        if len(self._stack) == MAX_DEPTH:
            self._refuse(collection.line, f"at most {MAX_DEPTH} levels")
        self._stack.append(collection)

    def _close(self) -> None:
        done = self._stack.pop()
        if not done.is_mapping:
            self._add(Listing(done.items, done.line))
            return
        entries = []
        for key, value in zip(done.items[::2], done.items[1::2], strict=True):
            if not isinstance(key, Scalar):
                raise ConfigError(f"{self.file}:{key.line}: expected a word as key")
            entries.append((key, value))
        self._add(Section(entries, done.line))

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(node.line, f"at most {MAX_NODES} values")
        if self._stack:
            self._stack[-1].items.append(node)
        else:
            self.root = node
