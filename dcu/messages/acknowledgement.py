"""The head-end's word of what it has: up to which number of each stream, as it comes on the topic `ack`.

What is released by it is the business of `dcu.delivery`.
"""

import json
from collections.abc import Mapping

from dcu.errors import CommandRejected
from dcu.messages.arguments import NAME

#: Octets and streams of one word at most.
MAX_WORD = 10_000
MAX_STREAMS = 64

#: The highest number of a block; SQLite's integers end there.
MAX_SEQ = (1 << 63) - 1


def parse_acknowledgement(payload: bytes) -> Mapping[str, int]:
    """Return up to which number, inclusive, the head-end has all of each stream. Raises CommandRejected."""
    if len(payload) > MAX_WORD:
        raise CommandRejected(f"an acknowledgement has at most {MAX_WORD} octets, this one {len(payload)}")
    try:
        found = json.loads(payload.decode())
    except (ValueError, RecursionError):
        raise CommandRejected("not a JSON object in UTF-8") from None
    streams = found.get("streams") if isinstance(found, dict) and set(found) == {"streams"} else None
    if not isinstance(streams, dict) or len(streams) > MAX_STREAMS:
        raise CommandRejected(f'expected {{"streams": {{STREAM: NUMBER}}}} of at most {MAX_STREAMS}')
    for stream, seq in streams.items():
        if not NAME.fullmatch(stream) or type(seq) is not int or not 0 <= seq <= MAX_SEQ:
            raise CommandRejected(f"streams.{stream[:32]}: expected the number of a block")
    return streams
