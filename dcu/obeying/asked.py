"""Questions about a meter or a stream that is not there: they are refused, for nothing found would pass for good news.

About what is there they are answered by `completeness`, `stored` and `status`.
"""

from typing import Final

from dcu.archive import Archive
from dcu.errors import CommandRejected
from dcu.messages.catalogue import MAX_ENTRY
from dcu.messages.envelope import RESULT
from dcu.model import DCU_EVENTS, INSTANT, PUSH, Command
from dcu.store import Store

#: Has blocks sent again, also of results.
_RESEND: Final = "dcu.resend"

#: The questions that can be answered with nothing.
ABOUT: Final = frozenset({"dcu.gaps", "dcu.keys", "dcu.ledger", "dcu.readings", "dcu.reconcile", _RESEND})


async def refuse_unknown(command: Command, archive: Archive, store: Store) -> None:
    """Raise CommandRejected for a question about a name that nobody bears or bore. Raises StoreError.

    A meter that was deleted is still asked about: what it left is there.
    """
    if command.name not in ABOUT or _awaited(command):
        return
    meter, stream = (command.args.get(key) for key in ("meter", "stream"))
    if isinstance(meter, str) and meter not in archive and not await store.readings.has_meter(meter):
        raise CommandRejected(f"no such meter: {meter}")
    expected = _named(archive) | ({RESULT} if command.name == _RESEND else set())
    if isinstance(stream, str) and stream not in expected:
        there = expected | set(await store.outbox.streams())
        if stream not in there:
            raise CommandRejected(f"no such stream: {stream}; there are {', '.join(sorted(there))}")


def _awaited(command: Command) -> bool:
    """Whether blocks of certain numbers are asked for: who has heard of them has to hear that they do not come."""
    return command.name == _RESEND and command.args["from_seq"] != 0 and command.args["to_seq"] != MAX_ENTRY


def _named(archive: Archive) -> set[str]:
    """Return the streams of which something may come, also where nothing has: just then somebody asks why."""
    profiles = {id(profile): profile for profile in map(archive.profile, archive.names)}
    may_have = (profile.stream_names for profile in profiles.values())
    return {INSTANT, DCU_EVENTS, PUSH}.union(*archive.timetables.values(), *may_have)
