"""What the box says of itself, with a real store and a real plan behind it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dcu.clock import ClockState
from dcu.conversation.keychange import KeyChanges
from dcu.delivery.sending import Delivery
from dcu.errors import CommandRejected
from dcu.health import STEP_BOUND, Health, Progress
from dcu.model import Command, Task
from dcu.plan.airtime import Forecast
from dcu.polling.poll import Poll
from dcu.report import Reporter
from dcu.store import Sealed, Store, Vault
from dcu.watching.status import Status
from dcu.watching.workload import Workload
from tests.captures import SetClock, capture
from tests.configurations import good, parsed
from tests.lines import Box
from tests.plans import in_pieces


class Doubtful(SetClock):
    def state(self) -> ClockState:
        return ClockState.UNSYNCHRONISED


class Bench:
    """A Status and everything it looks at; the box started 100 s ago and is connected."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.clock = clock
        self.store = store
        self.health = Health(started=clock.monotonic() - 100)
        self.delivery = Delivery(connected=True)
        self.poll: Poll = Box(clock).poll(Task("load0", every=900.0))
        self.health.buses["rs485-1"] = self.poll.health
        self.health.progress["bus rs485-1"] = self.poll.progress
        config = parsed(good())
        self.changes = KeyChanges(config.keys, {}, store.generations, Vault(Path("/nowhere/store.key")), clock)
        polls = {"rs485-1": self.poll}
        foreseen = {"rs485-1": Forecast(0.25, 100.0, 70_000.0, {"instant": 30.0}, ())}
        workload = Workload(
            polls, lambda: in_pieces(foreseen), clock, Reporter(store.readings, clock, "DCU-0001").report, Progress(0.0)
        )
        self.status = Status(config, store, clock, self.health, self.delivery, self.changes, workload)

    @property
    def problems(self) -> list[str]:
        found: list[str] = self.status.figures()["problems"]
        return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = SetClock()
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Bench(store, clock)


async def test_it_says_what_the_box_is_and_that_all_is_well(bench: Bench) -> None:
    figures = bench.status.figures()
    assert (figures["dcu"], figures["meters"], figures["uptime"]) == ("DCU-0001", 2, 100.0)
    assert figures["clock"] == {"now": bench.clock.time, "trusted": True, "state": "synchronised"}
    assert figures["uplink"]["broker"] == "localhost:1883"
    assert figures["problems"] == []
    assert json.loads(json.dumps(figures)) == figures
    assert bench.status.line() == "0 visits, 0 good; 0 blocks delivered; no problems"


async def test_a_bus_is_described_by_its_counters_its_plan_and_its_use(bench: Bench) -> None:
    health = bench.poll.health
    health.visits, health.ok, health.busy, health.error = 7, 5, 25.0, "silent for 2.0 s"
    bench.poll.plan.next_visit(bench.clock.monotonic())
    bus = bench.status.figures()["buses"]["rs485-1"]
    assert (bus["visits"], bus["ok"], bus["use"], bus["error"]) == (7, 5, 0.25, "silent for 2.0 s")
    assert (bus["due"], bus["urgent"], bus["unreachable"]) == (2, 0, 0)
    bench.delivery.acknowledged = 3
    assert bench.status.line().startswith("7 visits, 5 good; 3 blocks delivered;")


async def test_the_use_of_a_box_that_just_started_is_no_division_by_zero(bench: Bench) -> None:
    bench.health.started = bench.clock.monotonic()
    assert bench.status.figures()["buses"]["rs485-1"]["use"] == 0.0


async def test_it_says_what_the_store_holds(bench: Bench) -> None:
    await bench.store.readings.record([capture(1), capture(2), capture(3)], {})
    await bench.store.readings.record([capture(9, stream="daily")], {})
    block = await bench.store.outbox.next_block("load0", 2)
    assert block is not None
    await bench.store.outbox.acknowledge("load0", block.seq)
    first = int(bench.clock.time * 1000)
    held = (await bench.status.snapshot())["store"]
    assert held["octets"] > 4096
    assert held["streams"] == {
        "load0": {"pending": 1, "next_seq": first + 1},
        "daily": {"pending": 1, "next_seq": first},
    }


async def test_a_flow_without_progress_is_a_problem(bench: Bench) -> None:
    bench.clock.time += STEP_BOUND + 1
    assert bench.problems == ["no progress: bus rs485-1"]
    assert bench.status.line().endswith("; no progress: bus rs485-1")


async def test_a_lost_store_is_a_problem_of_each_flow_that_needs_it(bench: Bench) -> None:
    bench.health.store_errors["bus rs485-1"] = "disk full"
    assert bench.problems == ["store: bus rs485-1: disk full"]


async def test_a_broken_uplink_is_a_problem_with_its_reason(bench: Bench) -> None:
    bench.delivery.connected = False
    assert bench.problems == ["uplink: not connected yet"]
    bench.delivery.error = "connection refused"
    assert bench.problems == ["uplink: connection refused"]


async def test_a_clock_that_is_not_trusted_is_a_problem(tmp_path: Path) -> None:
    clock = Doubtful(1000.0)
    async with Store.open(tmp_path / "store.db", clock) as store:
        bench = Bench(store, clock)
        assert bench.problems == ["the clock is not synchronised; nothing is collected on schedule"]
        assert bench.status.figures()["clock"]["trusted"] is False


async def test_latencies_of_commands_are_told_in_milliseconds(bench: Bench) -> None:
    bench.health.command_latency.append(1.23456)
    assert bench.status.figures()["commands"] == {"latency": [1.235]}


async def test_what_the_box_is_asked_about_itself(bench: Bench) -> None:
    assert (await bench.status.answer(Command("c", "dcu.status")))["dcu"] == "DCU-0001"
    assert await bench.status.answer(Command("c", "dcu.ping")) == {"now": bench.clock.time}
    told = await bench.status.answer(Command("c", "dcu.keys", args={"meter": "M0001"}))
    assert told == {"meter": "M0001", "current": {"generation": 0, "secrets": {"password": "set"}}, "coming": None}


async def test_a_store_that_lost_its_key_is_a_problem_and_says_who_acts(bench: Bench) -> None:
    assert bench.status.figures()["keys"] == {"changed": 0, "coming": 0, "sealed": 0}
    await bench.store.generations.begin(Sealed("M0001", 1, "current", 1.0, {"password": b"sealed"}))
    await bench.changes.load()
    assert bench.status.figures()["keys"] == {"changed": 0, "coming": 0, "sealed": 1}
    problem = "secrets of 1 meters: /nowhere/store.key: the key of this store is missing: bring back the one"
    assert bench.problems[0].startswith(problem)


async def test_the_plan_of_the_buses_is_told_on_demand(bench: Bench) -> None:
    bench.poll.airtimes.count("M0001", 2.5, good=True)
    found = await bench.status.answer(Command("1", "dcu.plan"))
    bus = found["buses"]["rs485-1"]
    assert (bus["predicted"]["use"], bus["predicted"]["basis"]) == (0.25, "estimated")
    assert bus["costliest"] == [{"meter": "M0001", "seconds": 2.5, "visits": 1, "failed": 0}]


async def test_a_plain_uplink_shows_its_only_channel(bench: Bench) -> None:
    found = await bench.status.answer(Command("1", "dcu.uplink"))
    assert (found["state"], found["broker"]) == ("on", "localhost:1883")
    with pytest.raises(CommandRejected, match="there is one channel"):
        await bench.status.answer(Command("2", "dcu.switch-uplink", args={"channel": "gprs"}))
