"""What may stand in a timetable, and what a group makes of it."""

from datetime import UTC

import pytest

from dcu.model import LAST_DAY, Attribute, Order, Priority, Task
from tests.configurations import faults, good, parsed

LOAD = "load0: {every: 15m, offset: 60s, backfill: 1d}"
GROUPS = """\
groups:
  shops:
    timetable:
      instant: {every: never}
      load0: {at: "02:30", window: 1h}
  quiet: {}
"""


def with_groups(old: str = "", new: str = "") -> str:
    return good("timetable:\n", GROUPS.replace(old, new, 1) + "timetable:\n")


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ("every: 15m", Task("load0", 900.0)),
        ("at: 02:30", Task("load0", at=9000.0)),
        ("at: 23:59:59, day: last", Task("load0", at=86_399.0, day=LAST_DAY)),
        ("day: 1, offset: 10m", Task("load0", at=0.0, day=1, offset=600.0)),
        ("every: 5m, window: 1m, priority: event", Task("load0", 300.0, window=60.0, priority=Priority.EVENT)),
        ("every: 5m, deadline: 30s", Task("load0", 300.0, deadline=30.0)),
        ("every: 5m, order: oldest, sla: 99.5%", Task("load0", 300.0, order=Order.OLDEST, sla=0.995)),
    ],
)
def test_what_a_line_says(words: str, task: Task) -> None:
    assert parsed(good(LOAD, f"load0: {{{words}}}")).timetable[-1] == task


def test_a_list_of_ones_own() -> None:
    config = parsed(good(LOAD, "quality: {every: 1h, objects: [1-0:32.7.0.255, 1/0-0:96.1.0.255/2]}"))
    name = bytes.fromhex("0000600100ff")
    assert config.timetable[-1].objects == (Attribute(3, bytes.fromhex("01002007 00ff")), Attribute(1, name))


def test_times_of_day_are_those_of_the_zone() -> None:
    text = good(LOAD, "load0: {at: 02:30}").replace("id: DCU-0001", "id: DCU-0001, zone: Europe/Zurich")
    assert str(parsed(text).timetable[-1].zone) == "Europe/Zurich"
    assert parsed(good()).timetable[-1].zone is UTC


def test_a_group_changes_some_of_it() -> None:
    config = parsed(with_groups())
    assert config.groups["shops"] == (Task("load0", at=9000.0, window=3600.0),)
    assert config.groups["quiet"] == config.timetable
    meter = parsed(with_groups().replace("id: M0001,", "id: M0001, group: shops,")).meters[0]
    assert meter.group == "shops"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("at: 10:70", "timetable.load0.at: expected a time of day such as 02:30, got '10:70'"),
        ("offset: 1m", "timetable.load0: expected the key 'every', 'at' or 'day'"),
        ("every: 1h, at: 02:30", "timetable.load0.at: expected without 'every', which has no time of day"),
        ("every: 1h, day: 1", "timetable.load0.day: expected without 'every', which has no time of day"),
        ("at: 24:00", "timetable.load0.at: expected a time of day such as 02:30, got '24:00'"),
        ("day: 29", "timetable.load0.day: expected a day from 1 to 28, or last, got '29'"),
        ("at: 02:30, offset: 1d", "timetable.load0.offset: expected less than a day, got '1d'"),
        ("every: 15m, priority: command", "timetable.load0.priority: expected one of event, billing, scheduled"),
        ("every: 15m, window: 0s", "timetable.load0.window: expected a duration from 1s to 31d"),
        ("every: 15m, objects: [1-0:1.8.0.255]", "timetable.load0.objects: expected another name for a list"),
        ("every: 15m, objects: [x]", "timetable.load0.objects[0]: expected a logical name such as"),
        ("every: 15m, objects: [0/1-0:1.8.0.255/2]", "timetable.load0.objects[0]: expected a logical name such as"),
    ],
)
def test_what_a_line_may_not_say(words: str, fault: str) -> None:
    problems = faults(good(LOAD, f"load0: {{{words}}}"))
    assert any(fault in problem for problem in problems), problems


def test_a_time_that_is_wrong_is_told_once() -> None:
    assert len(faults(good(LOAD, "load0: {at: 10:70}"))) == 1


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../etc", "Europe", "/etc/localtime"])
def test_a_zone_that_is_none(zone: str) -> None:
    (problem,) = faults(good("id: DCU-0001", f"id: DCU-0001, zone: {zone}"))
    assert "dcu.zone: expected a time zone such as UTC or Europe/Zurich" in problem


def test_a_group_is_judged_as_everything() -> None:
    assert "groups.shops.timetable.load9: expected 'objects', or one of" in faults(with_groups("load0", "load9"))[0]
    unknown = with_groups().replace("id: M0001,", "id: M0001, group: banks,")
    assert "meters[0].group: expected one of quiet, shops, got 'banks'" in faults(unknown)[0]


def test_tasks_that_are_no_streams_are_known() -> None:
    assert [task.stream for task in parsed(good(LOAD, "clock: {at: 04:00}\n  identity: {day: 1}")).timetable[1:]] == [
        "clock",
        "identity",
    ]
