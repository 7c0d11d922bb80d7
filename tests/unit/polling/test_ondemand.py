"""A reading that somebody asked for: true, JSON-able, bounded, and kept out of the scheduled streams."""

import json
import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from dcu.clock import iso
from dcu.conversation.visit import Findings, Reading
from dcu.dlms.cosem import UNITS
from dcu.errors import MeterError, NotGivenError
from dcu.messages.encoding import encode
from dcu.model import Column, Command, Priority, Visit
from dcu.obis import parse_obis
from dcu.plan.backfill import SLICE_ROWS
from dcu.polling.ondemand import on_demand
from dcu.profiles import load_profile, parse_profile
from sim.fleet import FleetPlan
from sim.truth import expected_values
from sim.virtual import VirtualClock
from tests.lines import COMPANION, INDIANS, WIDER, Box, read_command, virtually


async def ask(box: Box, number: int = 0, **args: object) -> dict[str, Any]:
    meter = box.meters[number].id
    session = await box.session(number)
    visit = read_command(meter, **args)
    try:
        found = await on_demand(session, box.archive(), visit, box.clock)
    finally:
        await session.close()
    # what leaves is JSON
    answer: dict[str, Any] = json.loads(encode(found))
    return answer


def assert_true(box: Box, number: int, answer: dict[str, Any]) -> None:
    meter = box.meters[number]
    columns = [Column(each["class"], parse_obis(each["object"]), each["attribute"]) for each in answer["columns"]]
    for capture in answer["captures"]:
        at = int(datetime.fromisoformat(capture["at"]).timestamp())
        assert tuple(capture["values"]) == expected_values(meter, columns, at)


@pytest.mark.parametrize("number", [0, 1])
def test_registers_of_now(number: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        answer = await ask(box, number)
        assert (answer["meter"], answer["stream"], answer["next"]) == (box.meters[number].id, "instant", None)
        assert len(answer["captures"]) == 1
        assert len(answer["columns"]) == (10, 14)[number]
        assert_true(box, number, answer)
        energy = answer["columns"][0]
        assert (energy["object"], energy["scaler"], energy["symbol"]) == ("1-0:1.8.0.255", 0, UNITS[30])
        assert abs(answer["offset"]) <= 1
        assert box.store.commits == 0

    virtually(work)


def test_one_value_that_json_cannot_hold_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Reading.take

    async def strange(self: Reading, *args: Any) -> Findings:
        found = await take(self, *args)
        found.captures[:] = [replace(each, values=(math.nan, *each.values[1:])) for each in found.captures]
        return found

    monkeypatch.setattr(Reading, "take", strange)

    async def work(clock: VirtualClock) -> None:
        (capture,) = (await ask(Box(clock)))["captures"]
        assert (capture["values"][0], capture["lost"]) == (None, [0])
        assert None not in capture["values"][1:]

    virtually(work)


def test_rows_of_a_profile_by_range() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        end = int(clock.now()) // 900 * 900
        answer = await ask(box, profile="load0", **{"from": end - 3600, "to": end})
        assert len(answer["captures"]) == 5
        assert_true(box, 0, answer)
        assert box.store.commits == 0

    virtually(work)


def test_one_answer_holds_the_line_for_one_slice_only_and_says_where_to_go_on() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        end = int(clock.now())
        start = end // 900 * 900 - (SLICE_ROWS + 40) * 900
        answer = await ask(box, profile="load0", **{"from": start, "to": end})
        assert len(answer["captures"]) == SLICE_ROWS
        assert answer["next"] == iso(start + SLICE_ROWS * 900)
        assert len(json.dumps(answer)) < 100_000
        assert_true(box, 0, answer)

    virtually(work)


def test_a_time_without_rows_is_an_answer_too() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        answer = await ask(box, profile="load0", **{"from": int(clock.now()) - 3, "to": int(clock.now()) - 2})
        assert (answer["captures"], answer["columns"], answer["next"]) == ([], [], None)

    virtually(work)


@pytest.mark.parametrize("stream", ["load9", "instant2"])
def test_a_stream_nobody_knows_is_refused_by_name(stream: str) -> None:
    async def work(clock: VirtualClock) -> None:
        with pytest.raises(MeterError, match=f"M0001 has no {stream}"):
            await ask(Box(clock), profile=stream, **{"from": 0, "to": 1})

    virtually(work)


def test_a_stream_the_meter_does_not_have_is_refused_by_name() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.companion = WIDER
        with pytest.raises(MeterError, match="M0001 has no absent"):
            await ask(box, profile="absent", **{"from": 0, "to": 1})

    virtually(work)


def test_a_profile_that_cannot_be_read_fails_the_command_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.objects._rows_of", lambda profile, selection: (_ for _ in ()).throw(TypeError))

    async def work(clock: VirtualClock) -> None:
        with pytest.raises(MeterError, match="M0001 refuses load0: type unmatched"):
            await ask(Box(clock), profile="load0", **{"from": 0, "to": 1})

    virtually(work)


def test_a_meter_tells_what_it_has_as_a_profile_and_goes_on_as_before() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session, archive = await box.session(), box.archive()
        visit = Visit("M0001", command=Command("c1", "meter.learn", ("M0001",)))
        answer = await on_demand(session, archive, visit, clock)
        found = parse_profile("maker", answer["profile"])
        assert found.streams["load0"].name == COMPANION.streams["load0"].name
        assert archive.profile("M0001") is COMPANION
        assert box.store.shapes == {}
        await session.close()

    virtually(work)


def test_a_stream_of_a_meter_of_which_nothing_is_known_is_read_after_it_was_explored() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.companion = load_profile("generic")
        start, end = int(clock.now()) - 7200, int(clock.now())
        answer = await ask(box, profile="load0", **{"from": start, "to": end})
        assert len(answer["captures"]) == 8
        with pytest.raises(NotGivenError, match="has no load7"):
            await ask(box, profile="load7", **{"from": start, "to": end})

    virtually(work)


def test_a_command_is_carried_out_by_the_client_that_the_profile_names_for_it() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=1, buses=1, hls=0, seed=4, indian=256))
        profile = INDIANS[f"is15959-{box.meters[0].plate.phases}p"]
        poll = box.poll()
        assert poll.archive.opened_for("M0001", "meter.get") is poll.archive.meter("M0001")
        assert poll.archive.opened_for("M0001", "meter.set").access == f"{profile.name}:setting"
        poll.sessions._access = {**box.fleet.access, **profile.access}
        args = {"object": "0-0:13.0.0.255", "class": 20, "attribute": 6, "value": "WINTER"}
        visit = Visit("M0001", command=Command("c1", "meter.set", ("M0001",), args), priority=Priority.COMMAND)
        poll.submit(visit)
        await poll.step()
        poll.sessions._keys = {"M0001": box.meters[0].plate.keys}
        poll.submit(visit)
        await poll.step()
        (_, nothing, reason), (_, answer, error) = box.answers
        assert (nothing, reason) == (None, f"no keys for the access {profile.name}:setting")
        assert (error, answer is not None) == (None, True)
        assert box.meters[0].heard > 0, "ciphered, as only the setting client is"
        assert (poll.health.visits, poll.health.ok, poll.health.refused) == (1, 1, 0), "the first asked nobody"

    virtually(work)
