"""What is said of streams: how a list of one's own may be called."""

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
