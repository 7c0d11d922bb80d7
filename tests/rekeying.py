"""A meter whose secrets are changed, in virtual time: the rooms of the daemon that know keys, and a store that dies."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcu.conversation.invocations import Invocations, Ledger
from dcu.conversation.keychange import KeyChanges
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import QUIET
from dcu.messages.catalogue import CHANGE_KEYS
from dcu.model import Access, Command, Keys, Priority, Visit
from dcu.polling.rekey import carry_out
from dcu.store import Sealed, Vault
from sim.fleet import FleetPlan
from sim.meter import SimMeter
from sim.virtual import VirtualClock
from tests.lines import CIPHERED, TITLE, Box, MemoryStore, PortAround, virtually

_take = Ledger.take

NEW = Keys(b"new", b"E" * 16, b"A" * 16)


class Dead(BaseException):
    """The box is gone, between two of its steps."""


class Mortal(MemoryStore):
    """A store whose box dies at the step before which `steps` others are left; None: never."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: int | None = None

    def step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                raise Dead

    async def _commit(self) -> None:
        self.step()
        await super()._commit()

    async def reserve(self, key: str, count: int, above: int = -1) -> range:
        reserved = await super().reserve(key, count, above)
        self.step()
        return reserved

    async def begin(self, sealed: Sealed) -> None:
        await super().begin(sealed)
        self.step()

    async def move(self, meter: str, generation: int, state: str, *, alone: bool = False) -> float:
        changed = await super().move(meter, generation, state, alone=alone)
        self.step()
        return changed

    async def drop(self, meter: str, generation: int) -> None:
        await super().drop(meter, generation)
        self.step()


class MortalPort(PortAround):
    """A line whose box may die before and after each write; `eaten` says of which writes the answers are lost."""

    def __init__(self, box: Box, store: Mortal) -> None:
        super().__init__(box.port)
        self._store = store
        self.writes = 0
        self.eaten: range = range(0)

    async def write(self, data: bytes) -> None:
        self._store.step()
        self.writes += 1
        await super().write(data)
        self._store.step()

    async def read(self) -> bytes:
        data = await super().read()
        while self.writes in self.eaten:
            data = await super().read()
        return data


class Rekeying:
    """One meter of `plan` and its daemon, which can be started anew; `used` lists our counters with their names."""

    def __init__(
        self, clock: VirtualClock, directory: Path, plan: FleetPlan = CIPHERED, access: Access | None = None
    ) -> None:
        self.store = Mortal()
        self.clock = clock
        self.box = Box(clock, plan, store=self.store)
        self.entry = self.box.entry()
        self.access = {**self.box.fleet.access} if access is None else {self.entry.access: access}
        self.meter: SimMeter = self.box.meters[0]
        self.old = self.meter.keys
        self.new = NEW
        self.port = MortalPort(self.box, self.store)
        self.vault = directory / "store.key"
        self.used: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Start the daemon anew: it knows what the store holds, and listens before it speaks as its flow does."""
        self.store.steps = None
        await self.port.drain(QUIET)
        await asyncio.sleep(self.meter.plate.inactivity)  # until then the meter is busy with the one that died
        file, new = {self.entry.id: self.old}, {self.entry.id: self.new}
        self.changes = KeyChanges(file, new, self.store, Vault(self.vault), self.clock)
        await self.changes.load()
        self.maker = SessionMaker(
            self.box.settings, self.access, file, TITLE, Invocations(self.store), changes=self.changes
        )

    async def change(self, *kinds: str, doubtful: bool = False) -> dict[str, Any]:
        command = visit(*kinds, doubtful=doubtful)
        archive = self.box.archive()
        return await carry_out(self.maker, self.port, self.entry, command, archive, lambda: None)

    async def read(self) -> None:
        """Read the meter as a scheduled visit would."""
        session = await self.maker.open(self.port, self.entry)
        await session.close()

    def settled(self) -> bool:
        """Whether what is in force here is what the meter has, and nothing is on its way."""
        in_force = self.changes.in_force(self.entry.id)
        return in_force == self.meter.keys and self.changes.coming(self.entry.id) is None

    @property
    def given(self) -> Keys:
        """The secrets of a meter that has taken the new keys."""
        return replace(self.old, encryption_key=NEW.encryption_key, authentication_key=NEW.authentication_key)


def visit(*kinds: str, doubtful: bool = False, name: str = CHANGE_KEYS) -> Visit:
    command = Command("c1", name, ("M0001",), {"kinds": list(kinds)} if name == CHANGE_KEYS else {})
    return Visit("M0001", command=command, priority=Priority.COMMAND, doubtful=doubtful)


def noting(used: list[tuple[str, int]]) -> Callable[[Ledger], int]:
    """Return a `Ledger.take` that notes what it gives."""

    def noted(ledger: Ledger) -> int:
        counter = _take(ledger)
        used.append((ledger._name, counter))
        return counter

    return noted


#: What a test does with one meter.
Work = Callable[[Rekeying], Awaitable[None]]


def rekeyed(directory: Path, work: Work, plan: FleetPlan = CIPHERED, access: Access | None = None) -> None:
    """Run `work` with one meter, ciphered unless `plan` says otherwise, let in by `access` if that is given."""

    async def run(clock: VirtualClock) -> None:
        rekeying = Rekeying(clock, directory, plan, access)
        await rekeying.start()
        await work(rekeying)

    virtually(run)
