"""A command under way: which meters it waits for, what they answered, and how much of that was told already.

A command to many asks FAN of them at a time and tells their answers in portions. When it begins and ends is decided in
`obey`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dcu.messages.encoding import UNWRITABLE, written
from dcu.model import Command, CommandRecord

#: The part of a command that the box itself has: no meter has this name.
BOX: Final = ""

#: Meters of one command that are asked at a time; the buses have others to serve, too.
FAN: Final = 8

#: Answers are told when they come to so many octets, or so many, or when so many seconds have passed since the last.
PORTION_OCTETS: Final = 30_000
PORTION: Final = 64
PROGRESS_PERIOD: Final = 30.0


@dataclass(slots=True)
class Underway:
    """One command. `waiting` are the parts that have not answered, `left` those of them not asked yet."""

    command: Command
    waiting: set[str]
    left: deque[str]
    many: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    octets: int = 0
    told: float = 0.0
    #: Whether it may have been carried out already: from then on it does not expire, and nothing is sent for it.
    sent: bool = False
    #: How many are about to keep its end; the first that can counts.
    ending: int = 0
    asking: bool = False
    #: One state is told at a time.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    over: asyncio.Future[CommandRecord] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @classmethod
    def of(cls, command: Command, among: Sequence[str], now: float) -> "Underway":
        """Return a command that begins at `now` (monotonic s); `among` are the meters when it is for many."""
        parts = list(among if command.targets else command.meters) or [BOX]
        return cls(command, set(parts), deque(parts), len(among) if command.targets else 0, told=now)

    def ask(self) -> str | None:
        """Return the next meter to ask now, if there is one."""
        while self.left and len(self.waiting) - len(self.left) < FAN:
            part = self.left.popleft()
            if part in self.waiting:
                return part
        return None

    def take(self, part: str, found: dict[str, Any] | None, error: str | None) -> None:
        """Note how `part` ended; an answer that cannot be told is none."""
        payload = written(found)
        if found is not None and payload is not None:
            self.answers[part] = found
            self.octets += len(payload)
        else:
            self.errors[part] = error or (UNWRITABLE if found is not None else "no answer")
            self.failed.add(part)

    def late(self, now: float) -> bool:
        """Whether its time is over at `now` (UTC s): it waits still, and nothing was sent that had to be answered."""
        expires = self.command.expires
        # without a meter to wait for it is about to end by itself
        return expires is not None and expires <= now and bool(self.waiting) and not self.sent

    def over_with(self, error: Exception) -> None:
        """Tell whoever waits for the end here that it does not come; the journal has the command still."""
        if not self.over.done():
            self.over.set_exception(error)
            self.over.exception()  # nobody may be waiting

    def due(self, now: float) -> bool:
        """Whether a portion of the answers is to be told at `now` (monotonic s)."""
        told = len(self.answers) + len(self.errors)
        long = self.octets >= PORTION_OCTETS or told >= PORTION or now - self.told >= PROGRESS_PERIOD
        return bool(self.many and told and long)

    def forget(self, parts: Sequence[str], now: float) -> None:
        """These were told."""
        for part in parts:
            self.answers.pop(part, None)
            self.errors.pop(part, None)
        self.octets, self.told = 0, now

    def progress(self) -> dict[str, int] | None:
        """Return how many of how many meters have answered, and how many failed; None of a command to one."""
        if not self.command.targets:
            return None
        silent = len(self.waiting - self.answers.keys() - self.errors.keys() - {BOX})
        return {"of": self.many, "answered": self.many - silent - len(self.failed), "failed": len(self.failed)}

    def complaint(self) -> str:
        """Return why parts failed, of those that were not told."""
        return "; ".join(why if part == BOX else f"{part}: {why}" for part, why in self.errors.items())
