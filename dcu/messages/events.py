"""The box's own events: each name, how grave it is and what it means, and how one is written into a capture and read.

When one is reported is the flows' business, keeping it `dcu.report`'s. The meters' events are in their profiles.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dcu.model import Capture, Value


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """`severity` is "info", "warning" or "alarm"."""

    severity: str
    meaning: str


#: What a head-end may be told; docs/reference/mqtt.md has the same table.
OWN_EVENTS: Final[Mapping[str, OwnEvent]] = {
    "meter unreachable": OwnEvent("warning", "no visit has succeeded for `unreachable_after`"),
    "meter reachable again": OwnEvent("info", "the first visit that succeeded since"),
    "meter exchanged": OwnEvent("warning", "another serial number answers at the meter's address"),
    "firmware changed": OwnEvent(
        "warning", "the meter tells another firmware version; what was learned of it is asked anew"
    ),
    "scaler changed": OwnEvent(
        "warning",
        "a register has another scaler or unit; rows read after `since` may have been told under the one before",
    ),
    "meter clock jumped": OwnEvent("warning", "the meter's clock went back behind rows that were read before"),
    "clock adjusted": OwnEvent("info", "the meter's clock was set or shifted"),
    "clock off too far": OwnEvent("warning", "the meter's clock is off by more than is set without asking"),
    "profile changed": OwnEvent("warning", "the meter captures other columns than it did, or at another period"),
    "security breach": OwnEvent("alarm", "what came under the meter's name failed a security check"),
    "meter found": OwnEvent("info", "a meter answers at an address that nobody has named"),
    "meter added": OwnEvent("info", "a meter came into the archive"),
    "collection below target": OwnEvent("warning", "a stream's success in a period is below its threshold"),
    "bus overloaded": OwnEvent("warning", "what is due on a bus does not fit its period"),
    "bus too slow": OwnEvent("warning", "what the timetable asks of a bus will not fit, as far as can be foreseen"),
    "dcu clock not synchronised": OwnEvent("warning", "nothing is collected on schedule until it is"),
    "store damaged": OwnEvent(
        "alarm", "the database was damaged; it is kept, a new one has begun, and what can be read is brought over"
    ),
    "store lost": OwnEvent("alarm", "the database was gone; what was kept beside it is there"),
    "store set back": OwnEvent("warning", "the database may have lost its last commits; sequence numbers leapt"),
    "store not copied": OwnEvent("warning", "an update changed the database and found no room to keep it as it was"),
    "store salvaged": OwnEvent("info", "what could be read of a damaged database was brought over"),
    "captures unreadable": OwnEvent("warning", "a part of the store is damaged: captures are lost, or read again"),
    "store failing": OwnEvent("alarm", "the store could keep nothing for a time"),
    "store filling": OwnEvent("warning", "four fifths of the room for readings are taken; when it is full, some go"),
    "store log long": OwnEvent("warning", "somebody reads the database and does not end: its log grows without bound"),
    "uplink channel changed": OwnEvent("warning", "another channel is in use; `why` says what befell the one before"),
    "certificate expires": OwnEvent("warning", "a certificate of the uplink ends within 30 days, or has ended"),
    "certificate unusable": OwnEvent("warning", "renewed certificates cannot be used; those before are still in use"),
    "nobody has subscribed": OwnEvent("warning", "the broker has nobody for the data of `stream`, which is kept here"),
    "stream refused": OwnEvent("warning", "the broker refuses the data of `stream`, which is kept here; `why` it does"),
    "ledger overflow": OwnEvent("warning", "gaps of one stream were too many to be kept apart"),
}


def severity_of(name: str) -> str | None:
    """Return how grave an event of the box is, None for one of another version."""
    event = OWN_EVENTS.get(name)
    return None if event is None else event.severity


def own_values(name: str, detail: Mapping[str, object]) -> tuple[Value, ...]:
    """Return the values of the capture that keeps an event; `detail` is JSON-able."""
    return name, json.dumps(detail, separators=(",", ":"))


def own_event(capture: Capture) -> dict[str, Any]:
    """Return what is told of a capture made with `own_values`: event, severity and detail. ValueError: it was not."""
    name, detail = map(str, capture.values)
    told = json.loads(detail)
    if capture.columns or not isinstance(told, dict):
        raise ValueError("no event of the box")
    return {"event": name, "severity": severity_of(name), "detail": told}
