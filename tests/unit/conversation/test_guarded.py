"""Ways round what the commands about any object leave alone: by another class, by a script, by what a value names."""

from typing import Any

import pytest

from dcu.conversation.objects import check
from dcu.errors import CommandRejected
from dcu.messages.catalogue import CATALOGUE
from dcu.model import Command

SUPPLY, TOKENS = "the disconnector", "the token gateway"
SCRIPT = {"script_table": "0-0:10.0.106.255", "selector": 1}
TARIFF = SCRIPT | {"script_table": "0-0:10.0.100.255"}
KEY = {"value": {"hex": "00" * 16}, "type": "octet-string"}
WORD = {"value": "12345678", "type": "octet-string"}
EMPTY = {"type": "null-data", "value": None}


def days(script: dict[str, object]) -> list[dict[str, object]]:
    return [{"day": 1, "schedule": [{"start": "06:00:00"} | script]}]


def actions(**action: object) -> list[dict[str, object]]:
    return [{"script": 1, "actions": [{"service": 2, "index": 1, "parameter": 0} | action]}]


def asked(name: str, target: str, class_id: int, index: int, **rest: Any) -> Command:
    word = "method" if name == "meter.execute" else "attribute"
    args = {"object": target, "class": class_id, word: index} | rest
    return Command("c1", name, ("M0001",), CATALOGUE[name].check(args))


@pytest.mark.parametrize(
    ("target", "class_id", "method", "rest", "kept"),
    [
        ("0-0:96.3.10.255", 70, 1, {}, SUPPLY),
        ("0-0:96.3.10.255", 1, 1, {}, SUPPLY),
        ("0-1:24.4.0.255", 1, 1, {}, SUPPLY),
        ("0-0:10.0.106.255", 9, 1, {"value": 1}, SUPPLY),
        ("0-0:19.40.0.255", 1, 1, KEY, TOKENS),
        ("0-0:40.0.0.255", 15, 2, KEY, "a secret"),
        ("0-0:40.0.1.255", 1, 2, KEY, "a secret"),
        ("0-0:40.0.0.255", 12, 5, KEY, "a secret"),
        ("0-0:43.0.0.255", 64, 2, KEY, "keys"),
        ("0-0:43.0.0.255", 64, 3, KEY, "keys"),
        ("0-0:43.0.1.255", 1, 4, KEY, "keys"),
        ("0-0:43.0.0.255", 64, 6, KEY, "certificates"),
        ("0-1:24.1.0.255", 72, 7, KEY, "keys"),
        ("0-1:24.1.0.255", 72, 8, KEY, "keys"),
    ],
)
def test_methods_that_are_not_invoked(
    target: str, class_id: int, method: int, rest: dict[str, object], kept: str
) -> None:
    with pytest.raises(CommandRejected, match=f"meter.execute does not change {kept}"):
        check(asked("meter.execute", target, class_id, method, **rest))


@pytest.mark.parametrize(
    ("target", "class_id", "attribute", "kept"),
    [
        ("0-0:96.3.10.255", 70, 4, SUPPLY),
        ("0-0:15.0.1.255", 22, 4, SUPPLY),
        ("0-0:10.0.106.255", 9, 2, SUPPLY),
        ("0-0:19.40.0.255", 115, 2, TOKENS),
        ("0-0:40.0.0.255", 15, 7, "a password"),
        ("0-0:20.0.0.255", 19, 7, "a password"),
        ("0-0:20.0.0.255", 19, 9, "a password"),
        ("0-0:25.3.0.255", 44, 5, "a password"),
        ("0-0:25.4.0.255", 45, 3, "a PIN"),
        ("0-0:25.5.0.255", 46, 4, "a password"),
        ("0-0:29.1.0.255", 91, 5, "keys"),
        ("0-0:35.1.0.255", 101, 10, "keys"),
    ],
)
def test_attributes_that_are_not_written(target: str, class_id: int, attribute: int, kept: str) -> None:
    for said in (class_id, 1):
        with pytest.raises(CommandRejected, match=f"meter.set does not change {kept}"):
            check(asked("meter.set", target, said, attribute, **WORD))
        if kept in {SUPPLY, TOKENS}:
            check(asked("meter.get", target, said, attribute))
            continue
        with pytest.raises(CommandRejected, match=f"meter.get does not read {kept}"):
            check(asked("meter.get", target, said, attribute))


@pytest.mark.parametrize(
    ("target", "class_id", "attribute", "value", "kept"),
    [
        ("0-0:13.0.0.255", 20, 9, days(SCRIPT), SUPPLY),
        ("0-0:15.0.0.255", 22, 2, SCRIPT, SUPPLY),
        ("0-0:16.1.0.255", 21, 4, [{"up": TARIFF, "down": SCRIPT}], SUPPLY),
        ("0-0:17.0.0.255", 71, 11, {"over": SCRIPT, "under": TARIFF}, SUPPLY),
        ("0-0:10.0.100.255", 9, 2, actions(class_id=1, name="0-0:96.3.10.255"), SUPPLY),
        ("0-0:10.0.100.255", 9, 2, actions(class_id=70, name="0-0:128.7.0.255"), SUPPLY),
        ("0-0:10.0.100.255", 9, 2, actions(class_id=1, name="0-0:19.40.0.255"), TOKENS),
    ],
)
def test_a_value_that_has_another_object_move_them(
    target: str, class_id: int, attribute: int, value: object, kept: str
) -> None:
    with pytest.raises(CommandRejected, match=f"meter.set lets nothing else move {kept}"):
        check(asked("meter.set", target, class_id, attribute, value=value))


@pytest.mark.parametrize(
    ("name", "target", "class_id", "index", "rest"),
    [
        ("meter.set", "0-0:13.0.0.255", 20, 9, {"value": days(TARIFF)}),
        ("meter.set", "0-0:15.0.0.255", 22, 2, {"value": TARIFF}),
        ("meter.set", "0-0:16.1.0.255", 21, 4, {"value": [{"up": TARIFF, "down": TARIFF}]}),
        ("meter.set", "0-0:17.0.0.255", 71, 4, {"value": 5000}),
        ("meter.set", "0-0:10.0.100.255", 9, 2, {"value": actions(class_id=20, name="0-0:13.0.0.255")}),
        # electricity that bears the same figures is something else
        ("meter.set", "1-0:96.3.10.255", 1, 2, EMPTY),
        ("meter.execute", "0-0:10.0.100.255", 9, 1, {"value": 1}),
        ("meter.execute", "0-0:43.0.0.255", 64, 1, {"value": 3}),
        ("meter.get", "0-0:43.0.0.255", 64, 2, {}),
        ("meter.get", "0-0:20.0.0.255", 19, 2, {}),
    ],
)
def test_what_is_beside_them_passes(name: str, target: str, class_id: int, index: int, rest: dict[str, object]) -> None:
    check(asked(name, target, class_id, index, **rest))
