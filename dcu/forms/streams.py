"""What a stream may be called: by a companion profile, and by the operator who has a list of one's own read.

The name goes into topics, tables and file names as it is. Which streams there are is not known here.
"""

import re
from typing import Final

from dcu.model import ALARM, CLOCK, DCU_EVENTS, IDENTITY, PUSH

#: What a stream's name is, for people.
NAME: Final = "a name of at most 32 small letters, digits and . _ -"

PATTERN: Final = re.compile(r"[a-z][a-z0-9_.-]{0,31}")

#: The stream of command results; entries of `uplink.streams` and `store.retention` that speak of many; what all streams
#: of events begin with; tasks that bring no captures; and events that are in no log of a meter.
TAKEN: Final = frozenset({"result", "default", "commands", "event", CLOCK, IDENTITY, ALARM, DCU_EVENTS, PUSH})


def unfit(name: str) -> str | None:
    """Say why nothing that is read from meters can be called `name`; None: it can."""
    if not PATTERN.fullmatch(name):
        return f"expected {NAME}"
    return "this name is taken" if name in TAKEN else None
