"""Who wants the answer to a command sent to a topic of its own (MQTT 5, 4.10): kept in memory, a copy beside `result`.

What a command is, and its answer, are known elsewhere; the answer on `result` is the one that is never lost.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dcu.messages.commands import MAX_COMMAND
from dcu.messages.envelope import JSON
from dcu.model import Capture, CommandRecord
from dcu.uplink import Outgoing, Reply

#: Commands whose answers go to a topic of their own at most; with one more the oldest is answered on `result` only.
MAX_REPLIES: Final = 1000

#: Longest topic and correlation data that are taken, in characters and octets.
MAX_TOPIC, MAX_CORRELATION = 256, 256

#: Seconds after which a broker forgets such an answer: who asked has gone.
REPLY_EXPIRY: Final = 3600


@dataclass(slots=True)
class Replies:
    """Of the commands under `prefix`, to which no reply goes: a DCU must not be made to command another."""

    prefix: str
    _wanted: OrderedDict[str, Reply] = field(default_factory=OrderedDict)
    _given_up: frozenset[str] = frozenset()

    def heard(self, payload: bytes, reply: Reply | None) -> None:
        """Remember where the answer to the command `payload` is wanted, if it is anywhere it may go."""
        if reply is None or not self._fitting(reply) or len(payload) > MAX_COMMAND:
            return
        try:
            identity = json.loads(payload)["id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return  # nobody could tell the answer by it
        if isinstance(identity, str) and len(identity) <= MAX_TOPIC and identity not in self._given_up:
            self._wanted[identity] = reply
        if len(self._wanted) > MAX_REPLIES:
            self._wanted.popitem(last=False)

    def copies(
        self, items: Sequence[Capture] | Sequence[CommandRecord], messages: Sequence[Outgoing]
    ) -> Iterator[Outgoing]:
        """Yield what goes to topics of their own of `messages`, which tell `items`; the last word ends the memory."""
        for record in items:
            if not isinstance(record, CommandRecord) or record.command.id not in self._wanted:
                continue
            reply = self._wanted[record.command.id]
            if record.state.final:
                del self._wanted[record.command.id]
            for message in messages:
                if message.content_type == JSON:
                    yield replace(message, topic=reply.topic, qos=0, expiry=REPLY_EXPIRY, correlation=reply.correlation)

    def forget(self) -> None:
        """The connection broke, maybe over such a copy (mosquitto 2.0.11 hangs up where nobody may write): no more.

        The broker may bring these commands again, and must not be made to hang up again.
        """
        self._given_up = frozenset(self._wanted) or self._given_up
        self._wanted.clear()

    def _fitting(self, reply: Reply) -> bool:
        topic = reply.topic
        sound = 0 < len(topic) <= MAX_TOPIC and not topic.startswith("$") and not set("+#\0") & set(topic)
        own = f"{topic}/".startswith(f"{self.prefix}/")
        return sound and not own and len(reply.correlation or b"") <= MAX_CORRELATION
