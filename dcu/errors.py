"""Errors by who has to act. A foreign exception is translated once, at the edge (F2), into one of these."""

from collections.abc import Sequence
from enum import StrEnum
from reprlib import Repr
from typing import Any, Final

_EXCERPTS: Final = Repr()
#: Characters of a foreign value that an error quotes.
EXCERPT: Final = 60


def excerpt(value: object) -> str:
    """Return the beginning of a value as a person may read it, however long or nested that is."""
    return _EXCERPTS.repr(value)[:EXCERPT]


class DcuError(Exception):
    """Base of every error this project raises on purpose.

    `results` is what had been answered already when a conversation broke (`dcu.conversation.session.Session.get`).
    """

    who = "us"
    results: Sequence[Any] = ()


def first_words(error: BaseException) -> str:
    """Return what `error` says, or the first of its group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


class ConfigError(DcuError):
    """The operator has to correct the configuration. `problems` holds one line each: file:line: key: what is wrong."""

    who = "operator"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class OperatorError(DcuError):
    """The operator has to correct what is around the daemon: another that runs, a directory, a clock."""

    who = "operator"


class BusError(DcuError):
    """The line or its adapter: port missing, unplugged, or the TCP gateway refused."""

    who = "line"


class MeterError(DcuError):
    """The meter answered wrongly, refused, or did not answer in time."""

    who = "meter"


class MeterTimeoutError(MeterError):
    """No valid answer within the time-out; ends the visit."""


class RefusedError(MeterError):
    """The meter refused the association. Where it counts our invocations, our counter may be why."""


class StaleError(MeterError):
    """An association held since an earlier visit is no more; nothing was answered over it, a new one may be opened."""


class Breach(StrEnum):
    """Which security check failed; health counts each by itself."""

    LENGTH = "length"
    PLAIN = "plain"
    CONTROL = "control"
    COUNTER = "counter"
    TITLE = "title"
    TAG = "tag"
    SERVICE = "service"
    MECHANISM = "mechanism"
    CHALLENGE = "challenge"
    PROOF = "proof"
    TRANSACTION = "transaction"
    KEY = "key"


class SpentError(MeterError):
    """The conversation has used up the invocation counters that were reserved for it: nothing more can be protected."""


class NotServedError(MeterError):
    """The meter refused one request as a whole, with an APDU of its own for that, or could not take it for its length.

    The association is still open.
    """


class NotGivenError(MeterError):
    """The meter answers well and has not, or does not give, what was asked: no reason to ask again."""


class NotAskedError(NotGivenError):
    """What was asked for is refused here, before anything was said to the meter: whether that answers is not known."""


class OverError(NotGivenError):
    """What was asked for is wanted no more, and was not sent to the meter."""


class UnsureError(MeterError):
    """Nobody knows whether the meter carried out what was sent: never sent again without looking first."""

    def __init__(self, reason: str = "") -> None:
        said = f" ({reason})" if reason else ""
        super().__init__(f"not known whether it was carried out: read before you repeat{said}")


class SecurityError(MeterError):
    """What the meter said failed a security check; it is never interpreted."""

    def __init__(self, breach: Breach, reason: str) -> None:
        super().__init__(reason)
        self.breach = breach


class StoreError(DcuError):
    """The store could not keep or give data; the flow that needs it stops and health turns red."""

    who = "storage"


class DamagedError(StoreError):
    """The file itself is damaged, or is no longer where it was: it has to be opened again."""


class ShelteredError(StoreError):
    """The store could not keep it now; nothing is lost: it is in memory, or the meter still has it."""


class UplinkError(DcuError):
    """The broker or the way to it."""

    who = "uplink"


class SentAwayError(UplinkError):
    """The broker sent us away and does not want us back at once: it is busy, or another has our name."""


class UnattendedError(UplinkError):
    """Who is to hear us is not at this broker any more; the way to it is as good as before."""


class CommandRejected(DcuError):  # noqa: N818 - the word of the command journal, not a fault of ours
    """The sender of a command has to correct it. `id` names the command when that much could be read."""

    who = "head-end"

    def __init__(self, reason: str, id: str | None = None) -> None:  # noqa: A002 - the envelope's own key
        super().__init__(reason)
        self.reason = reason
        self.id = id
