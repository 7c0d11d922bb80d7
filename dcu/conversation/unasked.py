"""What a meter seals outside of any association: opened under its own keys, and no counter of it taken twice.

Who it was and what becomes of it is `dcu.polling.pushes`' business; within an association `dcu.dlms.protection` opens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from dcu.conversation.invocations import Ledger, counter_name
from dcu.dlms.notifications import asks_confirmation
from dcu.dlms.security import Cipher
from dcu.errors import Breach, SecurityError
from dcu.model import Ciphering, Keys


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The plain `apdu`, and the counter it was `heard` with, by name: to be kept in one transaction with what it says.

    `take` remembers that counter from then on: before, the same octets may come again. `seal` protects an answer in the
    same way; SpentError when there are no counters of ours left. Said `again` is what bears the counter heard last: it
    was kept with it, and its confirmation may have been lost with us.
    """

    apdu: bytes
    heard: Mapping[str, int]
    take: Callable[[], None]
    seal: Callable[[bytes], bytes]
    again: bool = False


def plain(apdu: bytes) -> Unsealed:
    """Return `apdu`, which was not sealed."""
    return Unsealed(apdu, {}, lambda: None, bytes)


def unsealed(apdu: bytes, title: bytes, candidates: Sequence[tuple[Keys, Ledger]], ours: bytes, suite: int) -> Unsealed:
    """Return what is in `apdu`, sealed by the owner of `title` under one of `candidates`, each with its counters.

    `ours` is our own system title. SecurityError when none of them opens it, ConfigError when keys do not fit `suite`.
    """
    failure = SecurityError(Breach.KEY, "no keys are known")
    for keys, ledger in candidates:
        last = ledger.get(title, -1)
        heard = {title: max(last - 1, -1)}
        cipher = Cipher(keys, ours, ledger.take, suite=suite, heard=heard)
        cipher.peer = title
        try:
            found, form = cipher.unprotect_any(apdu)
        except SecurityError as error:
            failure = error
            continue
        if (again := cipher.heard == last) and not asks_confirmation(found):
            raise SecurityError(Breach.COUNTER, f"invocation counter {last} once more")
        opened = _opened(found, form, cipher, partial(ledger.__setitem__, title), counter_name(keys, title))
        return replace(opened, again=again)
    raise failure


def _opened(apdu: bytes, form: Ciphering, cipher: Cipher, note: Callable[[int], None], name: str) -> Unsealed:
    # a confirmation has no tag of its own in the forms that name the service
    answer = Ciphering.GENERAL if form is Ciphering.GENERAL else Ciphering.GENERAL_GLO
    return Unsealed(apdu, {name: cipher.heard}, partial(note, cipher.heard), partial(cipher.protect, form=answer))
