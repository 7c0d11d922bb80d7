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

    audit_head: tuple[int, bytes] | None

    async def audited(self, first: int, count: int) -> list[AuditEntry]: ...

    async def newest_audited(self) -> tuple[int, bytes]: ...

    async def verify_audit(self) -> Verdict: ...


def head(chain: Chain) -> Mapping[str, Any] | None:
    """Return the newest entry and its hash, None while nobody has looked."""
    return _head(*chain.audit_head) if chain.audit_head else None


async def shown(chain: Chain, command: Command) -> Mapping[str, Any]:
    """Answer `dcu.audit`. Raises StoreError."""
    first, count = (int(str(command.args[key])) for key in ("from", "count"))
    entries = [_shown(each) for each in await chain.audited(first, count)]
    return {"entries": entries, "head": _head(*await chain.newest_audited())}


async def verified(chain: Chain) -> Mapping[str, Any]:
    """Answer `dcu.verify-audit`. Raises StoreError."""
    verdict = await chain.verify_audit()
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
    }
