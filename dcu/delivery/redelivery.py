"""What the head-end asks of the past: blocks sent again under their numbers, and what is held, to compare.

Which blocks are known by number still is the store's business (`dcu.store.delivered`); sending is `deliver`'s.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from dcu.clock import iso
from dcu.delivery.strikes import Key
from dcu.errors import CommandRejected
from dcu.messages.canonical import told
from dcu.messages.catalogue import MAX_COMPARED, MAX_DROPPED, MAX_RESENT
from dcu.model import Command, Reason
from dcu.store import Store

#: Blocks that wait to be sent again at most, over all connections; after a restart they are asked for anew.
MAX_WANTED: Final = 1000


class Redelivery:
    """Answers from `store`; `resend` is told when `wanted` has more in it."""

    def __init__(self, store: Store, wanted: deque[Key], resend: Callable[[], None]) -> None:
        self._store = store
        self._wanted = wanted
        self._resend = resend

    @property
    def commands(self) -> Mapping[str, Callable[[Command], Awaitable[Mapping[str, Any]]]]:
        """What answers the commands of this room, by name."""
        return {"dcu.resend": self.again, "dcu.reconcile": self.compare}

    async def again(self, command: Command) -> Mapping[str, Any]:
        """Have blocks of a stream sent again; return which, and where to go on. CommandRejected when too many wait."""
        args: Mapping[str, Any] = command.args
        stream, first, last = args["stream"], args["from_seq"], args["to_seq"]
        times = (args["from"], args["to"]) if "from" in args else None
        room = min(MAX_RESENT, MAX_WANTED - len(self._wanted))
        if room <= 0:
            raise CommandRejected(f"{MAX_WANTED} blocks wait to be sent again already")
        found = await self._store.delivered.known(stream, first, last, room + 1, times)
        waiting = set(self._wanted)
        self._wanted.extend(key for seq in found[:room] if (key := (stream, seq)) not in waiting)
        self._resend()
        return {"stream": stream, **_ends(found[:room]), "more": found[room] if len(found) > room else None}

    async def compare(self, command: Command) -> Mapping[str, Any]:
        """Return what is held of a stream for a range of capture times: counts and hashes, and what had to go."""
        args: Mapping[str, Any] = command.args
        stream, start, end, meter = args["stream"], args["from"], args["to"], args.get("meter")
        held = await self._store.delivered.held(stream, start, end, meter)
        names = sorted(name for name in held.meters if name > args["after"])
        gaps = await self._store.ledger.dropped(stream, start, end, meter, MAX_DROPPED + 1)
        return {
            "stream": stream,
            "from": iso(start),
            "to": iso(end),
            "captures": held.captures,
            "hash": told(held.total),
            "pending": held.pending,
            "meters": {name: _sum(held.meters[name]) for name in names[:MAX_COMPARED]},
            "more": names[MAX_COMPARED - 1] if len(names) > MAX_COMPARED else None,
            "dropped": [
                {"meter": line.meter, "from": iso(line.start), "to": iso(line.end), "reason": Reason.DROPPED.value}
                for line in gaps[:MAX_DROPPED]
            ],
            "more_dropped": len(gaps) > MAX_DROPPED,
        }


def _ends(seqs: Sequence[int]) -> dict[str, int | None]:
    first, last = (seqs[0], seqs[-1]) if seqs else (None, None)
    return {"blocks": len(seqs), "from_seq": first, "to_seq": last}


def _sum(of: Sequence[int]) -> dict[str, Any]:
    return {"captures": of[0], "hash": told(of[1])}
