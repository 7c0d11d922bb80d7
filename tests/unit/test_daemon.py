"""The whole daemon in virtual time: real flows over simulated lines; broker, store and service manager in memory."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, cast

import pytest

from dcu.errors import DcuError, StoreError
from dcu.guarding import STORE_RETRY
from dcu.health import STEP_BOUND
from dcu.host.ending import STOP_BOUND
from dcu.model import INSTANT, Column
from dcu.obis import parse_obis
from dcu.watching.history import STEP as HISTORY_STEP
from sim.truth import expected_values
from sim.virtual import VirtualClock
from tests.captures import capture
from tests.lines import ORIGIN, PortAround, virtually
from tests.rig import LOAD, Incoming, Rig

#: Seconds between two proofs of life when no service manager says otherwise.
INTERVAL = 10.0


class Play(Protocol):
    """Runs a scenario beside a running daemon (its ports of the kind `port`), then ends the daemon in order."""

    def __call__(self, scenario: Callable[[Rig], Awaitable[None]], port: type[PortAround] = PortAround) -> None: ...


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    def run(scenario: Callable[[Rig], Awaitable[None]], port: type[PortAround] = PortAround) -> None:
        async def work(clock: VirtualClock) -> None:
            rig = Rig(clock, tmp_path, monkeypatch, port)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(rig.daemon().run(rig.stop))
                await scenario(rig)
                rig.stop.set()
                await running
            for _ in range(3):  # clients of the local door are told that it shut
                await asyncio.sleep(0)

        virtually(work)

    return run


def test_readings_of_every_line_arrive_as_the_meters_held_them(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(1850)
        assert rig.rows() == rig.truth(1850)
        for received in rig.broker.tally.captures.values():
            meter = rig.fleet.meter(received.meter)
            columns = [
                Column(each["class"], parse_obis(each["object"]), each["attribute"]) for each in received.columns
            ]
            assert received.values == expected_values(meter, columns, received.at)
        assert rig.broker.tally.conflicts == 0
        assert rig.broker.tally.holes() == {}
        assert "no problems" in rig.said()

    play(scenario)


def test_the_end_comes_in_order_and_in_time(play: Play, tmp_path: Path) -> None:
    closed: list[tuple[float, str]] = []

    class Closing(PortAround):
        async def close(self) -> None:
            closed.append((asyncio.get_running_loop().time(), "port"))
            await super().close()

    rigs: list[Rig] = []

    async def scenario(rig: Rig) -> None:
        rigs.append(rig)
        await asyncio.sleep(0.5)  # in the middle of visits
        assert (tmp_path / "s").is_socket()
        assert closed == []

    play(scenario, Closing)
    (rig,) = rigs
    words = [word for _, word in rig.notified if not word.startswith("STATUS=")]
    assert (words[0], words[-1]) == ("READY=1", "STOPPING=1")
    assert len(closed) == 2
    # the buses are shut before the last word goes up
    last, leaf = rig.broker.said[-1]
    assert leaf == "state"
    assert rig.broker.tally.state == "stopped"
    assert max(at for at, _ in closed) < last < 0.5 + STOP_BOUND
    assert not (tmp_path / "s").exists()


def test_the_watchdog_is_fed_while_every_flow_goes_on(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.lines["rs485-1"].silence("M0001", "M0003")  # dead meters are no hanging flow
        await asyncio.sleep(600)
        assert rig.fed[:60] == [INTERVAL * number for number in range(60)]

    play(scenario)


def test_the_watchdog_goes_hungry_when_one_flow_hangs(play: Play) -> None:
    class Hanging(PortAround):
        hanging = False

        async def drain(self, quiet: float) -> bool:
            if self.hanging:
                await asyncio.Event().wait()
            return await super().drain(quiet)

    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(100)
        cast("Hanging", rig.ports["rs485-1"]).hanging = True
        rig.lines["rs485-1"].silence("M0001", "M0003")  # a failed visit is followed by a drain
        await asyncio.sleep(STEP_BOUND + 200)
        assert 100 + STEP_BOUND - INTERVAL < rig.fed[-1] < 100 + STEP_BOUND + 60 + 2 * INTERVAL
        assert "no progress: bus rs485-1" in rig.said()
        # the other bus goes on
        latest = max(received.at for received in rig.broker.tally.captures.values() if received.meter == "M0002")
        assert latest > ORIGIN + rig.clock.monotonic() - 100

    play(scenario, Hanging)


def test_a_store_that_fails_turns_health_red_and_everything_goes_on_when_it_is_back(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(850)
        rig.store.failure = StoreError("database or disk is full")
        await asyncio.sleep(100)
        known = len(rig.store.captures)
        assert "store: shelter: database or disk is full; 4 rows wait in memory" in rig.said()
        rig.store.failure = None
        await asyncio.sleep(2 * STORE_RETRY + 60)
        assert len(rig.store.captures) > known
        assert "no problems" in rig.said()
        # nothing was missed, nothing came twice, and nobody was restarted for it
        assert rig.rows() == rig.truth(900)
        instants = [each.at for each in rig.store.captures if (each.meter, each.stream) == ("M0001", INSTANT)]
        assert all(later - earlier <= 61 for earlier, later in pairwise(sorted(instants)))
        loads = [(each.meter, each.at) for each in rig.store.captures if each.stream == LOAD]
        assert len(loads) == len(set(loads))
        assert all(later - earlier <= INTERVAL for earlier, later in pairwise(rig.fed))

    play(scenario)


def test_a_flow_that_waits_long_for_its_store_is_red_and_not_stuck(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.store.failure = StoreError("database or disk is full")
        await asyncio.sleep(STEP_BOUND + 4 * INTERVAL + 1.0)
        assert "store: obey: database or disk is full" in rig.said()
        assert "no progress" not in rig.said()
        assert rig.clock.monotonic() - rig.fed[-1] <= INTERVAL
        rig.store.failure = None
        await asyncio.sleep(2 * STORE_RETRY + INTERVAL)
        assert "no problems" in rig.said()

    play(scenario)


def test_delivery_that_loses_the_store_begins_again(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.store.add(capture(1))
        await asyncio.sleep(30)
        acknowledge = rig.store.acknowledge
        failing: Any = _raise(StoreError("disk I/O error"))
        rig.store.acknowledge = failing  # type: ignore[method-assign]
        await asyncio.sleep(60)
        assert "store: deliver: disk I/O error" in rig.said()
        rig.store.acknowledge = acknowledge  # type: ignore[method-assign]
        await asyncio.sleep(60)
        assert "no problems" in rig.said()
        assert rig.broker.tally.conflicts == 0
        assert rig.broker.tally.duplicates > 0  # sent again, under the same numbers

    play(scenario)


def _raise(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*_: object) -> None:
        raise error

    return fail


def test_without_a_broker_everything_is_kept_and_the_status_says_why(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.broker.away = True
        await asyncio.sleep(600)
        assert "uplink: connection refused" in rig.said()
        assert rig.rows() == set()
        kept = {(each.meter, each.stream, each.at) for each in rig.store.captures if each.stream == LOAD}
        assert kept == rig.truth(0)
        assert len(rig.fed) >= 60
        rig.broker.away = False
        await asyncio.sleep(120)
        assert rig.rows() == rig.truth(0)

    play(scenario)


def test_commands_come_by_both_doors_into_one_journal(play: Play, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(1)
        rig.broker.down.put_nowait(Incoming(id="m1", name="meter.read", targets={"meters": ["M0002"]}))
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b'{"id": "l1", "name": "meter.read", "targets": {"meters": ["M0001"]}}\n')
        answers = [json.loads(line) for line in (await reader.read()).splitlines()]
        writer.close()
        assert [answer["state"] for answer in answers] == ["running", "done"]
        assert answers[-1]["result"]["M0001"]["meter"] == "M0001"
        await asyncio.sleep(10)
        record = rig.store.records["m1"]
        assert (record.state.value, record.command.door) == ("done", "mqtt")
        assert record.result is not None
        assert list(record.result) == ["M0002"]
        assert "PUBACK" in {word for _, word in rig.broker.said}
        assert rig.store.records["l1"].command.door == "local"

    play(scenario)


def test_an_attribute_is_written_by_one_door_and_read_by_the_other(play: Play, tmp_path: Path) -> None:
    calendar = {"object": "0-0:13.0.0.255", "class": 20, "attribute": 6}

    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(1)
        # only the management client may write: a meter that the fleet reads as one
        name = next(meter.id for meter in rig.config.meters if rig.config.access[meter.access].ciphered)
        envelope = {"targets": {"meters": [name]}, "args": calendar}
        rig.broker.down.put_nowait(
            Incoming(id="w1", name="meter.set", **envelope | {"args": calendar | {"value": "WINTER"}})
        )
        await asyncio.sleep(10)
        assert rig.store.records["w1"].state.value == "done", rig.store.records["w1"].error
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(json.dumps({"id": "g1", "name": "meter.get", **envelope}).encode() + b"\n")
        answer = json.loads((await reader.read()).splitlines()[-1])
        writer.close()
        assert answer["result"][name]["items"] == [calendar | {"word": "passive_name", "value": "WINTER"}]

    play(scenario)


def test_the_box_describes_itself_at_its_door(play: Play, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(100)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b'{"id": "s1", "name": "dcu.status"}\n')
        status = json.loads((await reader.read()).splitlines()[-1])["result"]
        writer.close()
        assert status["problems"] == []
        assert list(status["buses"]) == ["rs485-1", "rs485-2"]
        assert status["buses"]["rs485-1"]["ok"] > 0
        assert status["uplink"]["acknowledged"] > 0
        assert set(status["store"]["streams"]) >= {INSTANT, LOAD}
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b'{"id": "k1", "name": "dcu.keys", "args": {"meter": "M0O01"}}\n')
        answer = json.loads((await reader.read()).splitlines()[-1])
        writer.close()
        assert (answer["state"], answer["error"]) == ("failed", "no such meter: M0O01")

    play(scenario)


def leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in leaves(each)]


def test_our_own_mistake_in_a_flow_ends_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        rig = Rig(clock, tmp_path, monkeypatch)
        asyncio.get_running_loop().call_later(30, setattr, rig.store, "next_block", _raise(KeyError("mistake")))
        with pytest.raises(ExceptionGroup) as caught:
            await rig.daemon().run(rig.stop)
        assert any(isinstance(error, KeyError) for error in leaves(caught.value))
        assert 30 < clock.monotonic() < 120

    virtually(work)


def test_the_day_has_what_was_done_on_it(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await asyncio.sleep(HISTORY_STEP + 1)
        [figures] = rig.store.days.values()
        assert figures["starts"] == 1
        assert set(figures["buses"]) == {bus.name for bus in rig.config.buses}
        assert 0 < figures["captures"] <= len(rig.store.captures)
        assert figures["visits"] == sum(bus["visits"] for bus in figures["buses"].values()) > 0

    play(scenario)


def test_a_store_that_can_never_write_again_ends_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        rig = Rig(clock, tmp_path, monkeypatch)
        rig.store.failure = StoreError("the store is closed")
        rig.store.closed = True
        with pytest.raises(ExceptionGroup) as caught:
            await rig.daemon().run(rig.stop)
        assert any("started anew" in str(error) for error in leaves(caught.value))

    virtually(work)


def test_a_socket_that_cannot_be_opened_is_said_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        rig = Rig(clock, tmp_path, monkeypatch)
        rig.config = replace(rig.config, dcu=replace(rig.config.dcu, socket=str(tmp_path / "none" / "s")))
        with pytest.raises(ExceptionGroup) as caught:
            await rig.daemon().run(rig.stop)
        (error,) = leaves(caught.value)
        assert isinstance(error, DcuError)
        assert "cannot open the local socket" in str(error)

    virtually(work)
