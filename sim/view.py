"""What a show looks like while it runs: a live panel on a terminal, one plain line now and then without one.

It is given snapshots and knows nothing of where they come from.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sim.account import Line

#: Seconds between two plain lines where there is no terminal.
PLAIN_PERIOD = 5.0


@dataclass(slots=True)
class Snapshot:
    """One moment of a show. `status` is the daemon's own answer, empty while it does not answer."""

    elapsed: float
    clock: str
    status: dict[str, Any]
    delivered: int
    broker: str
    latency: float | None
    events: Sequence[str] = field(default_factory=tuple)

    @property
    def buses(self) -> dict[str, dict[str, Any]]:
        return dict(self.status.get("buses", {}))

    def total(self, key: str) -> int:
        return sum(bus[key] for bus in self.buses.values())

    @property
    def unsent(self) -> int:
        streams = self.status.get("store", {}).get("streams", {})
        return sum(stream["pending"] for stream in streams.values())

    @property
    def success(self) -> str:
        visits = self.total("visits")
        return f"{self.total('ok') / visits:.1%}" if visits else "-"

    @property
    def command(self) -> str:
        return "-" if self.latency is None else f"{self.latency:.2f} s"


class View:
    """Shows snapshots; a context manager."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None
        self._said = 0.0
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        self._screen().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen().__exit__(kind, error, trace)

    def _screen(self) -> AbstractContextManager[Any]:
        return self._live if self._live is not None else nullcontext()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def show(self, now: Snapshot) -> None:
        """Update the panel, or print a line when the last one is old enough."""
        if self._live is not None:
            self._live.update(_panel(now))
        elif time.monotonic() - self._said >= PLAIN_PERIOD:
            self._said = time.monotonic()
            self.say(_plain(now))
            for event in now.events:
                if event not in self._told:
                    self.say(f"       event  {event}")
            self._told = set(now.events)


def _plain(now: Snapshot) -> str:
    use = " ".join(f"{name} {bus['use']:.0%}" for name, bus in now.buses.items())
    return (
        f"{now.elapsed:4.0f} s  bus use {use or '-'}  visits {now.total('visits')}  success {now.success}  "
        f"stored {now.total('captures')}  unsent {now.unsent}  delivered {now.delivered}  "
        f"command {now.command}  broker {now.broker}"
    )


def _panel(now: Snapshot) -> Panel:
    buses = Table("bus", "use", "", "visits", "ok", "silent", "refused", "captures", "due", box=None)
    for name, bus in now.buses.items():
        counts = (str(bus[key]) for key in ("visits", "ok", "silent", "refused", "captures", "due"))
        buses.add_row(name, f"{bus['use']:.0%}", Text("█" * round(20 * min(1.0, bus["use"])), "green"), *counts)
    figures = Table.grid(padding=(0, 3))
    figures.add_row(
        f"success [b]{now.success}[/b]",
        f"stored [b]{now.total('captures')}[/b]",
        f"unsent [b]{now.unsent}[/b]",
        f"delivered [b]{now.delivered}[/b]",
        f"command [b]{now.command}[/b]",
        f"broker [b]{now.broker}[/b]",
    )
    events = Text("\n".join(now.events[-4:]) or "no events yet", "dim")
    title = f"DCU-0001  {now.clock}  {now.elapsed:.0f} s"
    return Panel(Group(buses, figures, Text("last events", "bold"), events), title=title)


def account_table(lines: Sequence[Line]) -> Table:
    """Return the closing table."""
    table = Table(title="What the meters held, and what became of it", title_justify="left")
    table.add_column("stream")
    for name in ("expected", "read", "stored", "delivered", "wrong", "missing"):
        table.add_column(name, justify="right")
    for line in lines:
        counts = (line.expected, line.read, line.stored, line.delivered, line.wrong, line.missing)
        table.add_row(line.stream, *map(str, counts), style="" if line.good else "red")
    return table


def print_account(lines: Sequence[Line]) -> None:
    Console().print(account_table(lines))
