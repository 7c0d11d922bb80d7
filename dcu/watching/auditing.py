"""The audit as it is told: its head in the health, entries and verdict to those who ask.

How the chain is made is in `dcu.store.audit`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from dcu.clock import iso
from dcu.model import Command
from dcu.store import AuditEntry, Verdict


class Chain(Protocol):
    """What is needed of the store."""

    head: tuple[int, bytes] | None

    async def entries(self, first: int, count: int) -> list[AuditEntry]: ...

    async def newest(self) -> tuple[int, bytes]: ...

    async def verify(self) -> Verdict: ...


def head(chain: Chain) -> Mapping[str, Any] | None:
    """Return the newest entry and its hash, None while nobody has looked."""
    return _head(*chain.head) if chain.head else None


async def shown(chain: Chain, command: Command) -> Mapping[str, Any]:
    """Answer `dcu.audit`. Raises StoreError."""
    first, count = (int(str(command.args[key])) for key in ("from", "count"))
    entries = [_shown(each) for each in await chain.entries(first, count)]
    return {"entries": entries, "head": _head(*await chain.newest())}


async def verified(chain: Chain) -> Mapping[str, Any]:
    """Answer `dcu.verify-audit`. Raises StoreError."""
    verdict = await chain.verify()
    found = {"first": verdict.first, "last": verdict.last, "head": verdict.head.hex()}
    return found | ({"problem": verdict.problem} if verdict.problem else {})


def _head(entry: int, found: bytes) -> dict[str, Any]:
    return {"entry": entry, "hash": found.hex()}


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return {
        "entry": entry.entry,
        "at": iso(entry.at),
        "who": entry.who,
        "command": entry.command,
        "what": entry.what,
        "outcome": entry.outcome,
        "before": entry.before.hex(),
        "hash": entry.hash.hex(),
    } | ({"seconds": entry.at} if entry.by_seconds else {})
