"""The box's own events as captures, and back."""

import json

import pytest

from dcu.messages.envelope import Envelopes
from dcu.messages.events import OWN_EVENTS, own_event, own_values, severity_of
from dcu.model import DCU_EVENTS, NO_STATUS, Capture


def own(name: str, **detail: object) -> Capture:
    return Capture("M1", DCU_EVENTS, 9, NO_STATUS, own_values(name, detail), (), 9.5, None, trusted=False)


def test_every_event_has_a_known_severity_and_a_meaning() -> None:
    assert {event.severity for event in OWN_EVENTS.values()} == {"info", "warning", "alarm"}
    assert all(event.meaning and "|" not in event.meaning for event in OWN_EVENTS.values())


def test_what_was_written_is_told() -> None:
    found = own_event(own("meter exchanged", was="4711", now="4712"))
    assert found == {"event": "meter exchanged", "severity": "warning", "detail": {"was": "4711", "now": "4712"}}


def test_an_event_of_another_version_has_its_name_and_no_severity() -> None:
    assert severity_of("meter stolen") is None
    assert own_event(own("meter stolen"))["event"] == "meter stolen"


@pytest.mark.parametrize("limit", [100_000, 400])
def test_several_come_in_one_block_or_in_parts(limit: int) -> None:
    payloads = Envelopes("D", "b").block(DCU_EVENTS, 1, [own("meter found"), own("meter added", by="hand")], limit)
    rows = [row for payload in payloads for row in json.loads(payload)["captures"]]
    assert len(payloads) == (1 if limit > 400 else 2)
    assert [(row["event"], row["values"], row["detail"]) for row in rows] == [
        ("meter found", [], {}),
        ("meter added", [], {"by": "hand"}),
    ]
