"""What is said of streams: how a list of one's own may be called, and who speaks of one that there is none of."""

import pytest

from tests.configurations import faults, good, parsed

LOAD = "load0: {every: 15m, offset: 60s, backfill: 1d}"


def own_list(name: str, *, group: bool = False) -> str:
    """Return a configuration that has a list called `name` read, by all meters or by a group of them."""
    task = f'"{name}": {{every: 1h, objects: ["1-0:32.7.0.255"]}}'
    return (
        good("timetable:\n", f"groups: {{shops: {{timetable: {{{task}}}}}}}\ntimetable:\n")
        if group
        else good(LOAD, task)
    )


@pytest.mark.parametrize("name", ["quality", "load9", "q.1", "x" * 32])
def test_a_list_has_a_name_of_its_own(name: str) -> None:
    assert parsed(own_list(name)).timetable[-1].stream == name


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a/#", "expected a name of at most 32 small letters, digits and . _ -"),
        ("Quality", "expected a name of at most 32 small letters"),
        ("x" * 33, "expected a name of at most 32 small letters"),
        ("result", "this name is taken"),
        ("default", "this name is taken"),
        ("commands", "this name is taken"),
        ("event", "this name is taken"),
        ("event.dcu", "expected another name for a list of one's own: what begins so is an event"),
        ("event.x", "expected another name for a list of one's own: what begins so is an event"),
        ("load0", "expected another name for a list of one's own: this one has its meaning"),
    ],
)
@pytest.mark.parametrize("group", [False, True])
def test_what_a_list_cannot_be_called(name: str, fault: str, group: bool) -> None:
    (problem,) = faults(own_list(name, group=group))
    assert fault in problem
    assert f"timetable.{name}" in problem


MENTIONS = """\
dcu: {id: DCU-0001}
uplink:
  host: localhost
  streams: {default: {rows: 9}, load0: {rows: 9}, quality.b: {rows: 9}, event.dcu: {rows: 9}}
  channels:
    - {name: eth}
    - {name: gprs, carries: [load0, event.fraud, quality.b, own]}
groups: {shops: {timetable: {own: {every: 1h, objects: ["1-0:32.7.0.255"]}}}}
timetable: {quality.b: {every: 1h, objects: ["1-0:32.7.0.255"]}, clock: {at: "04:00"}}
store:
  retention: {default: 9d, commands: 9d, load1: 9d, event: 9d, event.fraud: 9d, quality: 9d, own: 9d}
  sacrifice: [instant, load1, quality, event.fraud, own]
"""


def test_who_may_be_spoken_of() -> None:
    assert parsed(MENTIONS).store.sacrifice[-1] == "own"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("carries: [load0", "carries: [vlot", ":7: uplink.channels[1].carries[0]: no stream 'vlot': expected one of d"),
        ("carries: [load0", "carries: [lod0", "did you mean 'load0'?"),
        ("carries: [load0", "carries: [event", "uplink.channels[1].carries[0]: no stream 'event'"),
        ("carries: [load0", "carries: [clock", "uplink.channels[1].carries[0]: no stream 'clock'"),
        ("rows: 9}, load0", "rows: 9}, lod0", ":4: uplink.streams.lod0: no stream 'lod0': expected one of"),
        ("rows: 9}, load0", "rows: 9}, a/b", ":4: uplink.streams.a/b: no stream 'a/b'"),
        ("event.fraud: 9d", "lod0: 9d", ":11: store.retention.lod0: no stream 'lod0': expected one of"),
        ("sacrifice: [instant", "sacrifice: [nope", ":12: store.sacrifice[0]: no stream 'nope': expected one of"),
    ],
)
def test_who_speaks_of_no_stream_is_told(old: str, new: str, fault: str) -> None:
    assert old in MENTIONS
    (problem,) = faults(MENTIONS.replace(old, new, 1))
    assert fault in problem


def test_a_list_that_is_faulty_is_not_blamed_again_where_it_is_spoken_of() -> None:
    assert len(faults(MENTIONS.replace("quality.b: {every: 1h", "quality.b: {every: 1", 1))) == 1
