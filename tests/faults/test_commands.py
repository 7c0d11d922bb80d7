"""Commands that meet with mishaps under a whole daemon: none ends it, none reaches a meter after its end was told."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcu.clock import PLAUSIBLE_SINCE, ClockState
from dcu.conversation.session import Session
from dcu.daemon import Daemon
from dcu.dlms import axdr
from dcu.dlms.services import Action, Set
from dcu.errors import BusError
from dcu.model import CommandState
from dcu.obis import parse_obis
from sim.meter import SimMeter
from sim.virtual import VirtualClock
from tests import rig as rigs
from tests.lines import ORIGIN, PortAround, virtually
from tests.rig import Incoming, Rig

VOLTAGE = "1-0:32.7.0.255"
DAYS = {
    "object": "0-0:11.0.0.255",
    "class": 11,
    "attribute": 2,
    "value": [{"index": 1, "date": "*-12-25", "day": 2}],
}

#: Seconds after which a daemon has started and has read what was due.
SETTLED = 40.0

Scenario = Callable[["Site"], Coroutine[Any, Any, None]]


class WallClock:
    """A clock whose wall time is `ahead` of the truth, as long as it is."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.ahead = 0.0

    def now(self) -> float:
        return self.clock.now() + self.ahead

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def trusted(self) -> bool:
        return self.now() >= PLAUSIBLE_SINCE

    def state(self) -> ClockState:
        return ClockState.PLAUSIBLE if self.trusted() else ClockState.UNSET


class Slow(PortAround):
    """A line on which each frame waits for `delay` seconds; `gone` when it was unplugged, until it is opened again."""

    delay = 0.0
    gone = False

    async def open(self) -> None:
        self.gone = False
        await super().open()

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(self.delay)
        if self.gone:
            raise BusError("gone")
        await super().write(data)

    async def drain(self, quiet: float) -> bool:
        if self.gone:
            raise BusError("gone")
        return await super().drain(quiet)


class Site:
    """A daemon whose meters may all be written. `sent` counts the requests that changed something, by meter."""

    def __init__(self, rig: Rig, clock: WallClock, patch: pytest.MonkeyPatch) -> None:
        self.rig = rig
        self.clock = clock
        self.sent: list[str] = []
        rig.clock = clock  # type: ignore[assignment]
        perform = Session.perform

        async def counted(session: Session, request: Set | Action, *permit: Callable[[], None]) -> Any:
            def asked() -> None:
                for each in permit:
                    each()
                self.sent.append(session._meter)

            return await perform(session, request, asked)

        patch.setattr(Session, "perform", counted)
        self.daemon: Daemon = rig.daemon()
        self.first, self.second, *_ = [each for each in rig.fleet.archive if each.bus == rig.fleet.archive[0].bus]

    def command(self, called: str, **envelope: Any) -> None:
        self.rig.broker.down.put_nowait(Incoming(id=called, **envelope))

    def write(self, called: str, meter: str, **envelope: Any) -> None:
        self.command(called, name="meter.set", targets={"meters": [meter]}, args=DAYS, **envelope)

    async def occupied(self) -> None:
        """Have a long visit under way on the line of `first` and `second`."""
        start = int(self.clock.now()) - 80_000
        load = {"profile": "load0", "from": start, "to": start + 80_000}
        self.command("long", name="meter.read", targets={"meters": [self.first.id]}, args=load)
        await asyncio.sleep(0.5)
        assert self.daemon.polls[self.first.bus]._visiting == self.first.id

    def end(self, called: str) -> tuple[CommandState, str | None]:
        record = self.rig.store.records[called]
        return record.state, record.error


def on_site(tmp_path: Path, scenario: Scenario, prepare: Callable[[Rig], None] = lambda _: None) -> None:
    """Run `scenario` beside a daemon that has to live on to its end."""

    async def work(clock: VirtualClock) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rigs, "PLAN", replace(rigs.PLAN, hls=256))
            rig = Rig(clock, tmp_path, patch, Slow)
            prepare(rig)
            site = Site(rig, WallClock(clock), patch)
            flow = asyncio.create_task(site.daemon.run(rig.stop))
            await asyncio.sleep(SETTLED)
            await scenario(site)
            assert not flow.done()
            rig.stop.set()
            await flow

    virtually(work)


def test_a_meter_that_answers_nan_costs_a_command_to_all_one_answer(tmp_path: Path) -> None:
    def prepare(rig: Rig) -> None:
        meter, name = rig.fleet.meters[0], parse_obis(VOLTAGE)
        nan = replace(meter.registers[name], typed=lambda _: axdr.Typed(axdr.FLOAT32, float("nan")))
        meter.registers = {**meter.registers, name: nan}

    async def scenario(site: Site) -> None:
        args = {"object": VOLTAGE, "class": 3, "attribute": 2}
        site.command("g1", name="meter.get", targets={"all": True}, args=args)
        await asyncio.sleep(60.0)
        record = site.rig.store.records["g1"]
        assert (record.state, record.error) == (CommandState.DONE, None)
        assert record.result is not None
        told = [answer["items"][0] for answer in record.result.values() if isinstance(answer, dict)]
        assert sum("error" in item for item in told) == 1
        assert len(told) == len(site.rig.fleet.meters)

    on_site(tmp_path, scenario, prepare)


def test_a_number_without_room_in_its_type_is_rejected_and_acknowledged(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        args = {"object": "1-0:1.8.0.255", "class": 1, "attribute": 2, "value": 1e308, "type": "float32"}
        site.command("w1", name="meter.set", targets={"meters": [site.first.id]}, args=args)
        await asyncio.sleep(5.0)
        assert site.end("w1") == (CommandState.REJECTED, "value: does not fit")
        assert [leaf for _, leaf in site.rig.broker.said if leaf == "PUBACK"] == ["PUBACK"]

    on_site(tmp_path, scenario)


@pytest.mark.parametrize("commit", [0.0, 0.02])
def test_a_command_right_behind_the_end_of_its_meter_fails(tmp_path: Path, commit: float) -> None:
    async def scenario(site: Site) -> None:
        site.rig.store.delay = commit
        site.command("r1", name="meter.read", targets={"meters": [site.second.id]})
        await asyncio.sleep(commit * 1.5)
        await site.daemon._roll.let_go(site.second.id, "deleted")
        await asyncio.sleep(5.0)
        assert site.end("r1")[0].final

    on_site(tmp_path, scenario)


def test_what_was_ended_with_its_meter_is_not_written_into_the_next_one(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.occupied()
        site.write("w1", site.second.id)
        await asyncio.sleep(0.1)
        keys = site.daemon._keys[site.second.id]
        await site.daemon._roll.let_go(site.second.id, "another meter was put in its place")
        site.daemon._roll.take_in(site.second, keys, None)
        await asyncio.sleep(60.0)
        assert site.end("w1") == (CommandState.FAILED, f"{site.second.id}: another meter was put in its place")
        assert site.sent == []

    on_site(tmp_path, scenario)


def test_what_comes_while_a_visit_finds_another_meter_is_not_written_into_that_one(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        name = site.second.id
        old = next(each for each in site.rig.fleet.meters if each.id == name)
        site.rig.lines[site.second.bus].line.exchange(name, SimMeter(replace(old.plate, id="N1")))
        archive = site.daemon.polls[site.second.bus].archive
        review = archive.review

        async def commanded(meter: str, *found: Any) -> None:
            if meter == name and "w1" not in site.rig.store.records:
                site.write("w1", name)
                await asyncio.sleep(0.1)
            await review(meter, *found)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archive, "review", commanded)
            await asyncio.sleep(120.0)
        state, error = site.end("w1")
        assert (state, site.sent) == (CommandState.FAILED, [])
        assert str(error).startswith(f"{name}: the command was given for another device: its serial number was ")
        site.write("w2", name)
        await asyncio.sleep(60.0)
        assert (site.end("w2"), site.sent) == ((CommandState.DONE, None), [name])

    on_site(tmp_path, scenario)


def test_what_is_journalled_while_its_meter_is_replaced_is_not_written_into_the_next_one(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        name, roll = site.second.id, site.daemon._roll
        site.rig.store.delay = 1.0
        site.write("w1", name)
        await asyncio.sleep(0.5)
        keys = site.daemon._keys[name]
        await roll.let_go(name, "another meter was put in its place")
        roll.begin_anew(name, int(site.clock.now()))
        roll.take_in(replace(site.second, serial="35020044"), keys, None)
        await asyncio.sleep(60.0)
        state, error = site.end("w1")
        assert (state, site.sent) == (CommandState.FAILED, [])
        assert error == f"{name}: the command was given for another device: its line in the archive was another"

    on_site(tmp_path, scenario)


def test_what_expired_under_a_clock_that_was_wrong_for_a_moment_is_not_sent(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.occupied()
        site.write("w1", site.second.id, expires=int(site.clock.now()) + 600)
        await asyncio.sleep(0.1)
        site.clock.ahead = 3600.0
        await asyncio.sleep(1.2)
        site.clock.ahead = 0.0
        await asyncio.sleep(60.0)
        assert site.end("w1") == (CommandState.EXPIRED, "expired before every meter had answered")
        assert site.sent == []

    on_site(tmp_path, scenario)


@pytest.mark.parametrize("seconds", range(1, 6))
def test_what_expires_while_its_meter_is_opened_is_sent_and_answered_or_expires_unsent(
    tmp_path: Path, seconds: int
) -> None:
    async def scenario(site: Site) -> None:
        for port in site.rig.ports.values():
            assert isinstance(port, Slow)
            port.delay = 0.9
        site.write("w1", site.second.id, expires=int(site.clock.now()) + seconds)
        await asyncio.sleep(60.0)
        state, _ = site.end("w1")
        assert (state, site.sent) in [(CommandState.DONE, [site.second.id]), (CommandState.EXPIRED, [])]

    on_site(tmp_path, scenario)


def test_what_the_line_breaks_behind_is_not_sent_again(tmp_path: Path) -> None:
    def prepare(rig: Rig) -> None:
        # the goodbye comes at once
        rig.config = replace(rig.config, buses=tuple(replace(bus, keep_open=0.0) for bus in rig.config.buses))

    async def scenario(site: Site) -> None:
        line = site.rig.ports[site.second.bus]
        assert isinstance(line, Slow)
        perform = Session.perform

        async def unplugged(session: Session, *asked: Any) -> Any:
            try:
                return await perform(session, *asked)
            finally:
                line.gone = True

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "perform", unplugged)
            site.write("w1", site.second.id)
            await asyncio.sleep(60.0)
        assert site.sent == [site.second.id]
        state, error = site.end("w1")
        assert state is CommandState.FAILED
        assert "not known whether it was carried out" in str(error)

    on_site(tmp_path, scenario, prepare)


def test_what_says_when_it_expires_is_refused_under_a_clock_that_was_never_set(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        site.clock.ahead = 1000.0 - ORIGIN
        site.write("w1", site.second.id, expires=int(ORIGIN) - 7 * 86_400)
        site.command("r1", name="meter.read", targets={"meters": [site.first.id]}, expires=int(ORIGIN))
        await asyncio.sleep(30.0)
        state, error = site.end("w1")
        assert (state, site.sent) == (CommandState.REJECTED, [])
        assert "clock is not trusted" in str(error)
        assert site.end("r1") == (CommandState.DONE, None)

    on_site(tmp_path, scenario)
