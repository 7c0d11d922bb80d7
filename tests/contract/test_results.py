"""What a daemon with meters answers to each command is what docs/asyncapi.yaml says of its result, and nothing else."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bench.collecting import Collecting, play, setup_of
from dcu.messages.catalogue import CATALOGUE
from dcu.messages.envelope import Envelopes
from dcu.model import CommandState, Role
from sim.fleet import FleetPlan
from tests.asyncapi import faults, faults_of_result, result
from tests.unit.messages.test_reference import PAGE, examples

ORIGIN = 1_790_000_100
TIMETABLE = {"instant": (900, 0), "load0": (900, 7200), "event.fraud": (900, 86_400)}
NOW = ORIGIN + 1000

#: One whose access reads, and one whose access may all.
READER, MANAGED = ({"targets": {"meters": [meter]}} for meter in ("M0001", "M0004"))
LINE = {"bus": "rs485-1", "access": "reader", "profile": "idis"}
REGISTER = {"object": "1-0:1.8.0.255", "class": 3, "attribute": 2}

#: Commands in the order in which they are asked, each with what its envelope holds besides.
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("dcu.ping", {}),
    ("meter.read", READER),
    ("meter.read", READER | {"args": {"profile": "load0", "from": NOW - 3600, "to": NOW}}),
    ("meter.learn", READER),
    ("meter.get", READER | {"args": {"items": [REGISTER, REGISTER | {"attribute": 99}]}}),
    ("meter.set", MANAGED | {"args": {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2, "value": []}}),
    ("meter.execute", MANAGED | {"args": {"object": "0-0:13.0.0.255", "class": 20, "method": 1}}),
    ("meter.set-clock", READER),
    ("meter.forget-counter", MANAGED),
    ("dcu.status", {}),
    ("dcu.storage", {}),
    ("dcu.history", {}),
    ("dcu.gaps", {}),
    ("dcu.ledger", {}),
    ("dcu.meters", {}),
    ("dcu.uplink", {}),
    ("dcu.plan", {}),
    ("dcu.clocks", {}),
    ("dcu.keys", {"args": {"meter": "M0001"}}),
    ("dcu.audit", {}),
    ("dcu.verify-audit", {}),
    ("dcu.readings", {"args": {"meter": "M0001", "stream": "load0"}}),
    ("dcu.readings", {"args": {"meter": "M0001", "stream": "event.fraud", "from": NOW - 86_400, "to": NOW}}),
    ("dcu.reconcile", {"args": {"stream": "load0", "from": NOW - 7200, "to": NOW}}),
    ("dcu.resend", {"args": {"stream": "load0", "from_seq": 0}}),
    ("archive.add", {"args": LINE | {"id": "M0900", "address": 900}}),
    ("archive.import", {"args": {"columns": ["id", "bus"], "rows": [["M0901", "nowhere"]], "partial": True}}),
    ("archive.list", {}),
    ("archive.export", {}),
    ("archive.replace", {"args": LINE | {"id": "M0900", "address": 901}}),
    ("archive.delete", {"args": {"ids": ["M0900"]}}),
    ("archive.discover", {}),
    ("archive.found", {}),
]

#: Their result needs a unit of another kind, and is held there: with new keys (tests/unit/polling/test_rekey.py), with
#: several channels (tests/unit/uplink/test_ways.py).
ELSEWHERE = {"meter.change-keys", "dcu.switch-uplink"}


class Search:
    """Stands for the search for meters on a bus."""

    def start(self) -> int:
        return 200

    def progress(self) -> dict[str, int]:
        return {"left": 200, "probes": 0, "found": 0}


async def here(work: Callable[..., Any], *args: object) -> Any:
    return work(*args)


async def answers(site: Collecting) -> tuple[list[tuple[str, Any]], bytes]:
    """Return the answers of the commands ASKED, and the health message, of a daemon that has collected for a while."""
    daemon: Any = site.daemon
    obey, enrolment = daemon._obey, daemon._enrolment
    obey._admission = replace(obey._admission, allow=frozenset(Role))
    enrolment._apart, enrolment.searches["rs485-1"] = here, Search()
    with (site.path.parents[1] / "keys.yaml").open("a") as keys:
        keys.write("default: {password: '00000001'}\n")
    await site.collect(1000)
    await daemon._storekeeping.step()
    await daemon._history.step()
    health = Envelopes("DCU-0001", "5f0c2a9be1d4").health(NOW, daemon._status.figures())
    working = [asyncio.create_task(site.collect(100_000)), asyncio.create_task(obey.run())]
    found = []
    for number, (name, more) in enumerate(ASKED):
        envelope = {"id": f"c{number}", "name": name, **more}
        *_, record = [record async for record in obey.ask(json.dumps(envelope).encode())]
        assert record.state is CommandState.DONE, record
        (meter,) = record.command.meters or [None]
        found.append((name, record.result[meter] if meter else record.result))
        await site.delivered()
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    return found, health


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[str, Any]], bytes]:
    plan = FleetPlan(meters=4, buses=2)
    return play(setup_of(plan, TIMETABLE), tmp_path_factory.mktemp("site"), answers, origin=float(ORIGIN))


def test_every_command_is_asked() -> None:
    assert {name for name, _ in ASKED} | ELSEWHERE == CATALOGUE.keys()


def test_every_answer_is_what_is_said_of_its_result(told: tuple[list[tuple[str, Any]], bytes]) -> None:
    for name, answer in told[0]:
        assert not faults_of_result(name, answer), name
        assert answer or name == "archive.found", name
        closed = result(name)["additionalProperties"] is False
        assert bool(faults_of_result(name, answer | {"unheard": 1})) == closed, name


def test_what_is_required_of_a_result_is_always_there(told: tuple[list[tuple[str, Any]], bytes]) -> None:
    for name, answer in told[0]:
        assert faults_of_result(name, {}), name
        for key in result(name)["required"]:
            assert faults_of_result(name, {other: answer[other] for other in answer if other != key}), (name, key)


def test_the_health_message_is_what_is_said_of_it(told: tuple[list[tuple[str, Any]], bytes]) -> None:
    health = told[1]
    assert not faults("health", health)
    message = json.loads(health)
    assert message["storage"]["octets"] > 0
    assert message["success"]["load0"]["share"] == 1.0
    for key in message:
        short = {other: value for other, value in message.items() if other != key}
        assert faults("health", json.dumps(short).encode()), f"{key} is not required"


#: What has names of somebody's choice: one stands for all.
CHOSEN = {"buses", "success", "meters", "security", "streams"}


def alike(example: Any, real: Any, place: str = "") -> bool:
    """Whether an example has the keys of what was answered, in the same order; what is null on a side says nothing."""
    if isinstance(example, list) and isinstance(real, list):
        return not (example and real) or alike(example[0], real[0], place)
    if not (isinstance(example, Mapping) and isinstance(real, Mapping)):
        return True
    if place in CHOSEN:
        return not (example and real) or alike(next(iter(example.values())), next(iter(real.values())))
    return list(example) == list(real) and all(alike(example[key], real[key], key) for key in example)


def test_the_examples_have_the_keys_of_what_is_answered(told: tuple[list[tuple[str, Any]], bytes]) -> None:
    (text,) = re.findall(r"<!-- health -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert not faults("health", text.encode())
    assert alike(json.loads(text), json.loads(told[1]))
    assert not alike(json.loads(text) | {"unheard": 1}, json.loads(told[1]))
    for name, example in examples("answer").items():
        answer = example["M0001"] if 1 in CATALOGUE[name].meters else example
        assert not faults_of_result(name, answer), name
        assert all(alike(answer, real) for asked, real in told[0] if asked == name), name
    (sums,) = re.findall(r"<!-- canonical -->\n```\n.*?\n([0-9a-f]{32})\n```", PAGE)
    assert examples("answer")["dcu.reconcile"]["hash"] == sums
