"""Changes of meters' secrets: which are in force, which are on their way, and what is concluded when a meter opens.

How they are given to a meter is in `dcu.polling.rekey`, how they are sealed and kept in `dcu.store`.

    CURRENT ──stage──► PENDING ──yes──► WRITTEN ──opens under the old──► WAITING
                          │ └───no────► REFUSED                             ▲
                          └────────────no word, opens under the old─────────┘
    Opening under the new secrets makes them CURRENT from each of the four; RULES has the rest.
    Each step is committed before the next octet leaves, so after a crash the meter has one of two sets of secrets, and
    both are known. An association that opens decides, never what the meter was heard or not heard to say.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from dcu.clock import Clock, iso
from dcu.dlms.authentication import SECRET
from dcu.errors import ConfigError, MeterError
from dcu.model import SECRET_KINDS, Access, Authentication, Keys
from dcu.store import Sealed, Vault

ENCRYPTION, AUTHENTICATION, PASSWORD = SECRET_KINDS
#: What a meter takes in one request. Two requests are two generations: one may be taken and the other not.
GLOBAL_KEYS: Final = (ENCRYPTION, AUTHENTICATION)
TOGETHER: Final = (GLOBAL_KEYS, (PASSWORD,))


class State(StrEnum):
    """States of a generation of secrets; all but the first are on their way."""

    CURRENT = "current"
    PENDING = "pending"
    WRITTEN = "written"
    REFUSED = "refused"
    WAITING = "waiting"


class Rule(NamedTuple):
    """How a meter with a generation on its way is opened: whether the new secrets are tried `first`, or the old ones.

    `under_old` is what the generation becomes when the old ones open the meter; None: it is forgotten.
    """

    first: bool
    under_old: State | None


#: Each set of secrets is tried once in a visit: a meter that counts failed log-ins must not shut us out.
RULES: Final[Mapping[State, Rule]] = {
    # kept and perhaps sent, not answered: it goes on only after a failure, and then the meter most likely has it. What
    # was never answered may have been taken all the same, to be used later
    State.PENDING: Rule(first=True, under_old=State.WAITING),
    State.WRITTEN: Rule(first=True, under_old=State.WAITING),
    State.REFUSED: Rule(first=False, under_old=None),
    # it said yes, or may have, and goes on with the old: it may turn later, so the new must not be forgotten
    State.WAITING: Rule(first=False, under_old=State.WAITING),
}


def kinds_of(access: Access) -> tuple[str, ...]:
    """Return the kinds that an association of `access` proves: others could be changed and never be seen to work."""
    keyed = access.ciphered or access.authentication is Authentication.HLS_GMAC
    return (GLOBAL_KEYS if keyed else ()) + ((PASSWORD,) if access.authentication in SECRET else ())


@dataclass(frozen=True, slots=True)
class Generation:
    """All secrets of one meter that are not as in the keys file, by kind, since `changed` (UTC seconds)."""

    number: int
    state: State
    changed: float
    secrets: Mapping[str, bytes] = field(repr=False)


class GenerationStore(Protocol):
    """Where generations outlive a restart; every method that writes returns after the commit, or raises StoreError."""

    async def all(self) -> list[Sealed]: ...

    async def begin(self, sealed: Sealed) -> None: ...

    async def move(self, meter: str, generation: int, state: str, *, alone: bool = False) -> float: ...

    async def drop(self, meter: str, generation: int) -> None: ...


class KeyChanges:
    """The secrets of all meters: `file` as far as no generation in the store goes before it; `new` may be given.

    `load` once before use. Only meters with a generation cost memory.
    """

    def __init__(
        self,
        file: Mapping[str, Keys],
        new: Mapping[str, Keys],
        generations: GenerationStore,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._file = file
        self._new = new
        self._generations = generations
        self._vault = vault
        self._clock = clock
        self._current: dict[str, Generation] = {}
        self._next: dict[str, Generation] = {}
        #: Why the secrets of a meter cannot be had.
        self._sealed: dict[str, str] = {}

    async def load(self) -> None:
        """Take what the store holds. Secrets that cannot be unsealed shut out their meters and nobody else."""
        for sealed in await self._generations.all():
            meter, number = sealed.meter, sealed.generation
            try:
                secrets = {
                    kind: self._vault.unseal(_label(meter, number, kind), s) for kind, s in sealed.secrets.items()
                }
            except ConfigError as error:
                self._sealed[meter] = str(error)
                continue
            known = self._current if sealed.state == State.CURRENT else self._next
            known[meter] = Generation(number, State(sealed.state), sealed.changed, secrets)

    def forget(self, meter: str) -> None:
        """Forget what was changed in a device that is not there any more: the keys file says what the new one takes."""
        for known in (self._current, self._next, self._sealed):
            known.pop(meter, None)

    def in_force(self, meter: str) -> Keys:
        """Return what the meter was last seen to take. ConfigError when it cannot be unsealed."""
        return self._with(meter, self._current.get(meter))

    def candidates(self, meter: str) -> tuple[Keys, ...]:
        """Return what the meter may take, in the order to try; one, unless a change is on its way. ConfigError."""
        coming = self._next.get(meter)
        if coming is None:
            return (self.in_force(meter),)
        both = (self._with(meter, coming), self.in_force(meter))
        return both if RULES[coming.state].first else both[::-1]

    def coming(self, meter: str) -> State | None:
        """Return where the generation stands that is on its way, None when there is none."""
        found = self._next.get(meter)
        return found.state if found else None

    def wanted(self, meter: str, kinds: Collection[str]) -> dict[str, bytes]:
        """Return those of the new secrets that the meter has not yet, by kind."""
        new, known = self._new.get(meter, Keys()), self.in_force(meter)
        found = {kind: getattr(new, SECRET_KINDS[kind]) for kind in kinds}
        return {
            kind: secret for kind, secret in found.items() if secret not in {b"", getattr(known, SECRET_KINDS[kind])}
        }

    def missing(self, meter: str, kinds: Collection[str]) -> tuple[str, ...]:
        """Return those of `kinds` for which there is no new secret."""
        new = self._new.get(meter, Keys())
        return tuple(kind for kind in kinds if not getattr(new, SECRET_KINDS[kind]))

    async def stage(self, meter: str, secrets: Mapping[str, bytes]) -> None:
        """Keep `secrets`, by kind, before the meter is told. StoreError; ConfigError when they cannot be sealed.

        MeterError while others are on their way: which of three sets the meter has could not be found out. The same may
        be sent again.
        """
        if self._sealed:  # under a key made now, the store would be under two
            raise ConfigError(next(iter(self._sealed.values())))
        current, coming = self._current.get(meter), self._next.get(meter)
        secrets = {**(current.secrets if current else {}), **secrets}
        if coming is not None:
            if coming.secrets != secrets:
                raise MeterError(f"generation {coming.number} of its secrets is still on its way to {meter}")
            if coming.state is not State.WAITING:
                await self._move(meter, coming, State.PENDING)
            return
        new = Generation(current.number + 1 if current else 1, State.PENDING, self._clock.now(), secrets)
        sealed = {kind: self._vault.seal(_label(meter, new.number, kind), secret) for kind, secret in secrets.items()}
        await self._generations.begin(Sealed(meter, new.number, new.state, new.changed, sealed))
        self._next[meter] = new

    async def answered(self, meter: str, *, taken: bool) -> None:
        """The meter has said whether it takes what is on its way. Raises StoreError.

        A no to what is waited for says nothing of the time before: it may be a no because the meter has it already.
        """
        coming = self._next[meter]
        if taken:
            await self._move(meter, coming, State.WRITTEN)
        elif coming.state is not State.WAITING:
            await self._move(meter, coming, State.REFUSED)

    async def opened(self, meter: str, keys: Keys) -> None:
        """The meter has opened under `keys`, one of its candidates: which decides. Raises StoreError."""
        coming = self._next[meter]
        if keys == self._with(meter, coming):
            changed = await self._generations.move(meter, coming.number, State.CURRENT, alone=True)
            self._current[meter] = replace(coming, state=State.CURRENT, changed=changed)
            del self._next[meter]
            return
        state = RULES[coming.state].under_old
        if state is None:
            await self._generations.drop(meter, coming.number)
            del self._next[meter]
        elif state is not coming.state:
            await self._move(meter, coming, state)

    def describe(self, meter: str) -> dict[str, Any]:
        """Return the generations of a meter, JSON-able: numbers, states and fingerprints, no secret. 0 is the file."""
        if meter in self._sealed:
            return {"meter": meter, "error": self._sealed[meter]}
        current, coming = self._current.get(meter), self._next.get(meter)
        in_force = self.in_force(meter)
        return {
            "meter": meter,
            "current": _told(current, in_force) if current else {"generation": 0, "secrets": _fingerprints(in_force)},
            "coming": _told(coming, self._with(meter, coming)) if coming else None,
        }

    def counts(self) -> dict[str, int]:
        """Return how many meters' secrets are above the file, on their way, and sealed under a key that is missing."""
        return {"changed": len(self._current), "coming": len(self._next), "sealed": len(self._sealed)}

    def problems(self) -> list[str]:
        """Return what somebody has to see to."""
        return [f"secrets of {len(self._sealed)} meters: {next(iter(self._sealed.values()))}"] if self._sealed else []

    def _with(self, meter: str, generation: Generation | None) -> Keys:
        if meter in self._sealed:
            raise ConfigError(self._sealed[meter])
        file = self._file.get(meter, Keys())
        found = generation.secrets if generation else {}
        return replace(file, **{SECRET_KINDS[kind]: secret for kind, secret in found.items()}) if found else file

    async def _move(self, meter: str, generation: Generation, state: State) -> None:
        changed = await self._generations.move(meter, generation.number, state)
        self._next[meter] = replace(generation, state=state, changed=changed)


def _label(meter: str, generation: int, kind: str) -> str:
    """Return what a sealed secret is bound to: moved to another row, it does not open."""
    return f"{meter}/{generation}/{kind}"


def _told(generation: Generation, keys: Keys) -> dict[str, Any]:
    return {
        "generation": generation.number,
        "state": generation.state.value,
        "since": iso(generation.changed),
        "secrets": _fingerprints(keys),
    }


def _fingerprints(keys: Keys) -> dict[str, str]:
    """Return what tells keys apart and gives nothing away. A password has none: one could be guessed from it."""
    found = {kind: getattr(keys, name) for kind, name in SECRET_KINDS.items()}
    return {
        kind: "set" if kind == PASSWORD else hashlib.sha256(b"dcu key " + secret).hexdigest()[:8]
        for kind, secret in found.items()
        if secret
    }
