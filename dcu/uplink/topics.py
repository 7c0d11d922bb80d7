"""The topics of one DCU under `{prefix}/{dcu}/…`, up and down. What the messages hold is in `dcu.messages`."""

import re
from dataclasses import dataclass

from dcu.errors import ConfigError
from dcu.messages.envelope import EVENT, RESULT, is_event

#: Some brokers (AWS IoT Core) refuse topics with more slashes.
MAX_SLASHES = 7

#: Levels that follow the prefix at most: `{dcu}/meter/{meter}/state` has the most slashes, four with the one before.
_OWN_SLASHES = 4

#: What a stream of today cannot be called, in a level of a topic: one that was stored once has to leave all the same.
_UNFIT = re.compile(r"[+#/\x00-\x1f\x7f]|^$")


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of topics; `groups` are those of DCUs that this one belongs to.

    Raises ConfigError for a prefix or a DCU id that cannot be part of one.
    """

    prefix: str
    dcu: str
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(letter in self.prefix + self.dcu for letter in "+#\0") or not self.prefix or not self.dcu:
            raise ConfigError(f"{self.prefix}/{self.dcu} cannot begin a topic: empty, or with + or #")
        if "/" in self.dcu or self.prefix.count("/") + _OWN_SLASHES > MAX_SLASHES:
            raise ConfigError(f"{self.prefix}/{self.dcu}: more than {MAX_SLASHES} slashes in its topics")

    @property
    def state(self) -> str:
        return self._of("state")

    @property
    def health(self) -> str:
        return self._of("health")

    @property
    def command(self) -> str:
        return self._of("command")

    @property
    def ack(self) -> str:
        """Where the head-end says what it has."""
        return self._of("ack")

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topic filters of the commands: to this DCU, to all, and to its groups."""
        groups = (f"{self.prefix}/_group/{group}/command" for group in self.groups)
        return self.command, f"{self.prefix}/_all/command", *groups

    def of_meter(self, meter: str) -> str:
        """Topic of the state of a meter."""
        return self._of(f"meter/{meter}/state")

    def of_stream(self, stream: str) -> str:
        """Topic of a stream of the store: `result`, `event` for every `event.…`, otherwise `data/{stream}`."""
        if stream == RESULT:
            return self._of(RESULT)
        return self._of(EVENT if is_event(stream) else f"data/{_UNFIT.sub('_', stream)}")

    def _of(self, leaf: str) -> str:
        return f"{self.prefix}/{self.dcu}/{leaf}"
