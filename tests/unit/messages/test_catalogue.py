import re

import pytest

from dcu.errors import CommandRejected
from dcu.messages.catalogue import CATALOGUE, MAX_GAPS, MAX_ITEMS, MAX_RANGE, moment
from dcu.model import Role

READ = CATALOGUE["meter.read"].check
NOON = 1_769_860_800


def test_the_commands_of_this_version() -> None:
    roles = {name: kind.role.value for name, kind in CATALOGUE.items()}
    changing = {
        "meter.set": "engineer",
        "meter.execute": "operator",
        "meter.set-clock": "operator",
        "meter.change-keys": "secadm",
        "meter.forget-counter": "secadm",
    }
    changing |= dict.fromkeys(
        ("archive.add", "archive.replace", "archive.delete", "archive.import", "archive.discover"), "installer"
    )
    assert changing.items() <= roles.items()
    # who may only look can change nothing, and to look nobody needs more
    assert all(kind.changes_state == (kind.role is not Role.VIEWER) for kind in CATALOGUE.values())
    assert all(roles[name] == "viewer" for name in ("dcu.ping", "dcu.status", "meter.read", "meter.get"))


@pytest.mark.parametrize(
    ("args", "normal"),
    [
        ({}, {}),
        ({"registers": True}, {}),
        ({"profile": "instant"}, {}),
        (
            {"profile": "load0", "from": "2026-01-31T12:00:00Z", "to": "2026-01-31T14:00:00+01:00"},
            {"profile": "load0", "from": NOON, "to": NOON + 3600},
        ),
        ({"profile": "event.fraud", "from": 0, "to": 1}, {"profile": "event.fraud", "from": 0, "to": 1}),
    ],
)
def test_arguments_come_out_in_one_form(args: dict[str, object], normal: dict[str, object]) -> None:
    assert READ(args) == normal


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"registers": False}, "args.registers"),
        ({"from": 0, "to": 1}, "'from' is unknown"),
        ({"registers": True, "profile": "load0"}, "exclude"),
        ({"profile": 7, "from": 0, "to": 1}, "args.profile"),
        ({"profile": "../etc", "from": 0, "to": 1}, "args.profile"),
        ({"profile": "instant", "from": 0, "to": 1}, "unknown"),
        ({"profile": "load0", "to": 1}, "args.from"),
        ({"profile": "load0", "from": 2, "to": 1}, "args.to"),
        ({"profile": "load0", "from": 0, "to": MAX_RANGE + 1}, "args.to"),
        ({"speed": 9}, "'speed' is unknown"),
    ],
)
def test_what_is_wrong_is_named(args: dict[str, object], words: str) -> None:
    with pytest.raises(CommandRejected, match=words):
        READ(args)


ENERGY = {"object": "1.0.1.8.0.255", "class": 3, "attribute": 2}
NORMAL = ENERGY | {"object": "1-0:1.8.0.255"}


@pytest.mark.parametrize(
    ("name", "args", "normal"),
    [
        ("meter.get", ENERGY, {"items": [NORMAL]}),
        ("meter.get", {"items": [ENERGY] * MAX_ITEMS}, {"items": [NORMAL] * MAX_ITEMS}),
        ("meter.set", ENERGY | {"value": None}, NORMAL | {"value": None}),
        ("meter.set", ENERGY | {"value": 5, "type": "unsigned"}, NORMAL | {"value": 5, "type": "unsigned"}),
        ("meter.set", ENERGY | {"value": 5, "type": None}, NORMAL | {"value": 5}),
        (
            "meter.execute",
            {"object": "0-0:13.0.0.255", "class": 20, "method": 1},
            {"object": "0-0:13.0.0.255", "class": 20, "method": 1, "value": None},
        ),
    ],
)
def test_any_object_in_one_form(name: str, args: dict[str, object], normal: dict[str, object]) -> None:
    assert CATALOGUE[name].check(args) == normal


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("meter.get", {}, "args.object: expected a logical name"),
        ("meter.get", ENERGY | {"object": 7}, "args.object"),
        ("meter.get", ENERGY | {"object": "1" * 50}, "args.object"),
        ("meter.get", ENERGY | {"object": "1-0:1.8.0.256"}, "args.object"),
        ("meter.get", ENERGY | {"class": 0}, "args.class: expected a whole number from 1 to 65535"),
        ("meter.get", ENERGY | {"class": True}, "args.class"),
        ("meter.get", ENERGY | {"attribute": 128}, "args.attribute: expected a whole number from 1 to 127"),
        ("meter.get", ENERGY | {"value": 1}, "'value' is unknown"),
        ("meter.get", {"items": []}, "args.items: expected a list of 1 to 20"),
        ("meter.get", {"items": [ENERGY] * (MAX_ITEMS + 1)}, "args.items"),
        ("meter.get", {"items": [7]}, r"args.items\[0\]: expected an object"),
        ("meter.get", {"items": [ENERGY, {}]}, r"args.items\[1\].object"),
        ("meter.get", {"items": [ENERGY], "class": 3}, "'class' is unknown"),
        ("meter.set", ENERGY, "args.value: expected what to write"),
        ("meter.set", ENERGY | {"value": 1, "type": 5}, "args.type: expected the name"),
        ("meter.execute", ENERGY, "'attribute' is unknown"),
        ("meter.execute", {"object": "0-0:13.0.0.255", "class": 20, "method": 0}, "args.method"),
    ],
)
def test_what_is_wrong_of_an_object_is_named(name: str, args: dict[str, object], words: str) -> None:
    with pytest.raises(CommandRejected, match=words):
        CATALOGUE[name].check(args)


def test_ping_takes_nothing() -> None:
    assert CATALOGUE["dcu.ping"].check({}) == {}
    with pytest.raises(CommandRejected, match="no arguments"):
        CATALOGUE["dcu.ping"].check({"x": 1})


@pytest.mark.parametrize(
    "value", ["2026-01-31T12:00:00", "noon", "9" * 41, -1, 10**12, 1.5, True, None, "1900-01-01T00:00Z"]
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(CommandRejected, match="expires: expected a time"):
        moment(value, "expires")


def test_times_do_not_end_in_2038() -> None:
    assert moment("2090-01-01T00:00:00Z", "x") == 3_786_912_000


def test_kinds_of_secrets_are_words_of_ours_once_each_and_none_means_all() -> None:
    check = CATALOGUE["meter.change-keys"].check
    assert check({}) == {"kinds": []}
    assert check({"kinds": ["password", "encryption", "password"]}) == {"kinds": ["encryption", "password"]}
    wrongs: tuple[object, ...] = ("encryption", ["master"], [1], {})
    for wrong in wrongs:
        with pytest.raises(
            CommandRejected, match=r"args.kinds: expected a list of encryption, authentication, password"
        ):
            check({"kinds": wrong})
    with pytest.raises(CommandRejected, match="unknown"):
        check({"encryption_key": "00"})


def test_keys_are_asked_of_one_meter() -> None:
    check = CATALOGUE["dcu.keys"].check
    assert check({"meter": "M0001"}) == {"meter": "M0001"}
    for wrong in ("", 1, "M" * 65, None):
        with pytest.raises(CommandRejected, match=r"args.meter: expected the name of a meter"):
            check({"meter": wrong})


def test_what_is_missing_is_asked_by_name_and_time_and_from_page_to_page() -> None:
    check = CATALOGUE["dcu.gaps"].check
    assert check({}) == {}
    asked = {"meter": "M0001", "stream": "load0", "after": "M0001/load0/1769860800", "limit": 5}
    assert check({**asked, "since": "2026-01-31T12:00:00Z"}) == {**asked, "since": NOON}
    assert CATALOGUE["dcu.ledger"].check({"meter": "M0001", "since": NOON}) == {"meter": "M0001", "since": NOON}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"meter": "M/1"}, "args.meter: expected a name"),
        ({"stream": 5}, "args.stream: expected a name"),
        ({"since": "yesterday"}, "args.since: expected a time"),
        ({"after": "M0001/load0"}, "args.after: expected what an answer gave as more"),
        ({"after": "a/b/-1"}, "args.after: expected what an answer gave as more"),
        ({"after": "a/b/" + "9" * 16}, "args.after: expected what an answer gave as more"),
        ({"limit": 0}, f"args.limit: expected a whole number from 1 to {MAX_GAPS}"),
        ({"page": 2}, "'page' is unknown"),
    ],
)
def test_what_is_wrong_of_a_question_for_gaps_is_named(args: dict[str, object], words: str) -> None:
    with pytest.raises(CommandRejected, match=re.escape(words)):
        CATALOGUE["dcu.gaps"].check(args)
    if args.keys() & {"after", "limit"}:
        with pytest.raises(CommandRejected, match="is unknown"):
            CATALOGUE["dcu.ledger"].check(args)


def test_numbers_of_blocks_to_be_sent_again_go_upward() -> None:
    check = CATALOGUE["dcu.resend"].check
    assert check({"stream": "load0", "from_seq": 5, "to_seq": 5}) == {"stream": "load0", "from_seq": 5, "to_seq": 5}
    with pytest.raises(CommandRejected, match=r"args\.to_seq: expected no less than args.from_seq"):
        check({"stream": "load0", "from_seq": 5, "to_seq": 3})
