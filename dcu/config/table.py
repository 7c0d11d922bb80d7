"""Tables of archive lines and what was judged of them, as plain data. How they are judged is in `lines`.

The daemon holds these words without what reads forms: that is loaded where the work is done.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from dcu.config.settings import BusConfig
from dcu.model import Access, Keys, Meter


@dataclass(frozen=True, slots=True)
class Table:
    """Lines as they were sent: a word for each of `columns`; `numbers` are the lines of `file` they stood on."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is already: `meters` each with where it stands, and what a line may name.

    `profiles` gives the streams of each companion profile, `keys_file` is the path of the secrets.
    """

    meters: tuple[tuple[Meter, str], ...]
    buses: tuple[BusConfig, ...]
    access: Mapping[str, Access]
    profiles: Callable[[], Mapping[str, frozenset[str]]]
    keys_file: str | None
    groups: Collection[str] = ()


@dataclass(slots=True)
class Judged:
    """The good lines with their secrets, and what is wrong with the others, as FILE:LINE: column: expected X, got Y.

    `bad` counts the lines that are not good, of which `problems` may not show all.
    """

    meters: list[Meter] = field(default_factory=list)
    keys: dict[str, Keys] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    bad: int = 0
