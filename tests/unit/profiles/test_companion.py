"""What a profile answers of itself."""

from dataclasses import replace

from dcu.model import ALARM, INSTANT, Access
from dcu.profiles import load_profile

GENERIC = load_profile("generic")


def test_alarms_are_a_stream_where_there_is_a_register_for_them() -> None:
    plain = replace(GENERIC, discovers=False)
    assert plain.stream_names == {INSTANT}
    assert replace(plain, alarms=load_profile("idis").alarms).stream_names == {INSTANT, ALARM}


def test_a_timetable_may_name_what_an_unknown_meter_may_be_found_to_have() -> None:
    assert {INSTANT, ALARM, "load0", "billing", "event.0", "event.6"} < GENERIC.stream_names


def test_the_client_of_a_task_is_that_of_its_name_or_of_the_longest_beginning() -> None:
    one, two, three = (Access(name) for name in ("one", "two", "three"))
    profile = replace(
        GENERIC,
        clients={"one": one, "two": two, "three": three},
        tasks={"event.*": "one", "event.fraud*": "two", "event.fraud": "three"},
    )
    assert profile.client("event.standard") is one
    assert profile.client("event.fraud.old") is two
    assert profile.client("event.fraud") is three
    assert profile.client("load0") is None
    assert replace(profile, tasks={"*": "one"}).client("load0") is one


def test_a_stream_is_read_by_the_client_that_is_named_for_it_and_not_for_all_commands() -> None:
    clients = {name: Access(name) for name in ("one", "two")}
    profile = replace(GENERIC, name="own", clients=clients, tasks={"*": "one", "event.*": "two", "billing": "one"})
    assert [profile.reads(stream) for stream in ("event.fraud", "billing", "load0")] == ["own:two", "own:one", None]
    assert profile.opens("meter.set") == "own:one"
