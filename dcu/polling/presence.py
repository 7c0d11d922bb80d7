"""Whether the meter that answers is the one that a command was given for, asked before anything is done because of it.

What scheduled visits ask, and what follows when another one is there, is in `collecting`.
"""

import hashlib
from typing import Final

from dcu.archive import Archive
from dcu.clock import Clock
from dcu.conversation.recognition import SERIAL, TITLE, Asking, identity, questions
from dcu.conversation.session import Session
from dcu.errors import NotAskedError, NotGivenError, UnsureError
from dcu.messages.encoding import encode
from dcu.model import Visit
from dcu.store import line_of

#: The word for all that a meter's line in the archive says, and what is said of a device by each word.
LINE: Final = "line"
_SAID: Final = {LINE: "line in the archive", SERIAL: "serial number", TITLE: "system title"}


async def device(archive: Archive, meter: str) -> dict[str, str]:
    """Return what tells the device that bears the name `meter` now from any other, as far as it is known.

    The line stands for one that has not said who it is. Raises StoreError.
    """
    line = hashlib.sha256(encode(line_of(archive.meter(meter)))).hexdigest()[:16]
    said = await archive.identity(meter)
    return {LINE: line} | {word: said[word] for word in (SERIAL, TITLE) if said.get(word)}


async def check_device(archive: Archive, visit: Visit) -> None:
    """Return when nothing says that the name of the meter is another device's since the command of `visit` was taken.

    Raises NotAskedError when it is, StoreError.
    """
    assert visit.command is not None
    meant, now = visit.command.device, await device(archive, visit.meter)
    if other := [word for word in _SAID if word in meant.keys() & now.keys() and meant[word] != now[word]]:
        word = other[0]
        was = "another" if word == LINE else f"{meant[word]}, and is {now[word]}"
        raise NotAskedError(f"the command was given for another device: its {_SAID[word]} was {was}")


async def ascertain(
    session: Session, archive: Archive, meter: str, clock: Clock, *, own: bool = True, doubtful: bool = False
) -> None:
    """Return when nothing says that another meter answers in `session`; raises what `recognise` raises.

    What proves who it is costs nothing: its system title, an association it goes on with, that it answered a moment
    ago.
    """
    known = archive.acquaintance
    if known.asking(meter, clock.monotonic(), session) is Asking.NOTHING:
        await archive.check_title(meter, session.title)
        return
    if await recognise(session, archive, meter, own=own, doubtful=doubtful):
        known.heard(meter, clock.monotonic())


async def recognise(
    session: Session, archive: Archive, meter: str, *, own: bool = True, doubtful: bool = False
) -> bool:
    """Return whether it is shown that the meter is there, asking it unless its system title tells.

    To a client that is not its `own` a meter need not tell its number, and one whose number nobody knows shows nothing.
    Raises NotGivenError for another one, UnsureError when the one before is `doubtful` to have been told; the next
    scheduled visit asks who it is then. Raises what `Session.get` and `Archive.check_title` raise.
    """
    await archive.check_title(meter, session.title)
    asked, serial = questions(archive.profile(meter), Asking.SERIAL), await archive.said(meter, SERIAL)
    if session.title and session.title == await archive.title(meter):
        return True
    if not serial or not asked:
        return False
    told = identity(archive.profile(meter), Asking.SERIAL, iter(await session.get(asked))).get(SERIAL)
    if told != serial and (told is not None or own):
        archive.acquaintance.doubt(meter)
        reason = f"another meter may be there: its serial number is {told or 'not told'}, not {serial}"
        raise UnsureError(reason) if doubtful else NotGivenError(reason)
    return told is not None
