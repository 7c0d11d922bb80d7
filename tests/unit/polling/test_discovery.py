"""Looking for meters while the line is idle: who is found, what is known of it, what it costs, and what not."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dcu.config.settings import GENERIC, DiscoverSettings
from dcu.errors import CommandRejected
from dcu.model import Framing, Keys, Meter, Task
from dcu.polling.discovery import DISCOVERY, SHARE, Discovery
from dcu.polling.poll import Poll
from dcu.store import Station
from sim.bus import MemoryGateway
from sim.fleet import FleetPlan
from sim.server import READER
from sim.virtual import VirtualClock
from tests.lines import Box, Losable, read_command, run_for, virtually

#: Three meters at 17, 18 and 19; the archive has the first.
PLAN = FleetPlan(meters=3, buses=1, hls=0)
SEARCH = DiscoverSettings((range(16, 24),), READER.name, profiles={"SIM": "idis"})
LOAD = Task("load0", every=900.0, offset=60.0, backfill=900.0)


class Stations:
    """The stations that were met, in memory."""

    def __init__(self) -> None:
        self.met: dict[int, Station] = {}

    async def meet(self, station: Station) -> None:
        self.met[station.address] = station

    async def stations(self) -> list[Station]:
        return list(self.met.values())


class Search:
    """A line with one meter that is known, two that are not, and five addresses where nobody is."""

    def __init__(self, clock: VirtualClock, settings: DiscoverSettings = SEARCH, *tasks: Task) -> None:
        self.clock = clock
        self.box = Box(clock, PLAN)
        self.stations = Stations()
        self.added: list[Meter] = []
        self.refusal = ""
        self.poll: Poll = self.box.poll(*tasks)
        for number in (1, 2):
            name = self.box.meters[number].id
            self.poll.plan.remove(name)
            self.poll.archive.remove(name)
        known = self.poll.archive._meters
        known["M0001"] = replace(known["M0001"], bus="line")
        # all meters of the fleet have other passwords: what serves the second is the default
        self.poll.sessions._keys = {**self.box.fleet.keys, "": self.box.fleet.keys["M0002"]}
        self.poll.discovery = Discovery(
            self.box.settings,
            settings,
            self.poll.archive,
            self.poll.sessions,
            self.stations,
            clock,
            self.poll.health,
            self.box._report,
            self._enrol,
        )

    @property
    def search(self) -> Discovery:
        assert self.poll.discovery is not None
        return self.poll.discovery

    async def _enrol(self, meters: Sequence[Meter], origin: str) -> None:
        assert origin == DISCOVERY
        if self.refusal:
            raise CommandRejected(self.refusal)
        self.added += meters
        for meter in meters:
            self.poll.archive._meters[meter.id] = meter

    def told(self) -> list[int]:
        return [detail["address"] for name, _, detail in self.box.reports if name == "meter found"]  # type: ignore[misc]


def searching(
    work: Callable[[Search], Coroutine[Any, Any, None]], settings: DiscoverSettings = SEARCH, *tasks: Task
) -> None:
    async def run(clock: VirtualClock) -> None:
        await work(Search(clock, settings, *tasks))

    virtually(run)


def test_whoever_answers_is_found_and_identified() -> None:
    async def work(each: Search) -> None:
        await run_for(each.poll, 600.0)
        assert sorted(each.stations.met) == [18, 19]
        meter = each.box.meters[1]
        names = {"device": 0, "serial": 1, "firmware": 2}
        identity = [value.decode() for value in meter.identity.values()]
        facts = each.stations.met[18].facts
        assert {word: facts[word] for word in names} == {word: identity[at] for word, at in names.items()}
        assert (facts["maker"], facts["profile"]) == ("SIM", "idis")
        # the other does not know the default password: there it is, and no more is known
        assert facts.keys() != each.stations.met[19].facts.keys() == {"problem"}
        assert "does not let us in as reader" in each.stations.met[19].facts["problem"]
        assert sorted(each.told()) == [18, 19]
        assert (each.poll.health.probes, each.poll.health.found, each.poll.health.probing) == (7, 2, 0)

    searching(work)


def test_an_empty_line_costs_a_small_share_of_its_time() -> None:
    async def work(each: Search) -> None:
        each.box.bus.silence("M0001", "M0002", "M0003")
        began = each.clock.monotonic()
        while each.poll.health.probes < 7:
            await each.poll.step()
        spent = 7 * (each.box.settings.timeout + 0.1)
        # the last of them has not been rested for yet
        assert spent * 6 / 7 / SHARE * 0.9 < each.clock.monotonic() - began
        assert each.stations.met == {}

    searching(work)


def test_who_asks_for_it_has_all_the_idle_time_and_sees_how_far_it_is() -> None:
    async def work(each: Search) -> None:
        assert each.search.start() == 8
        assert each.search.progress() == {"left": 8, "probes": 0, "found": 0}
        await run_for(each.poll, 25.0)
        assert each.search.progress() == {"left": 0, "probes": 7, "found": 2}

    searching(work)


def test_what_is_due_goes_first_and_a_short_pause_is_left_alone() -> None:
    async def work(each: Search) -> None:
        each.search.start()
        await each.poll.step()
        await each.poll.handover.settled()
        assert [capture.meter for capture in each.box.store.captures] == ["M0001"] * len(each.box.store.captures)
        assert each.poll.health.probes == 0
        now = each.clock.monotonic()
        assert each.search.wants(now, None)
        assert each.search.wants(now, now + 10.0)
        assert not each.search.wants(now, now + each.box.settings.timeout)

    searching(work, SEARCH, LOAD)


def test_the_readings_of_those_who_are_known_do_not_suffer() -> None:
    async def work(each: Search) -> None:
        each.search.start()
        flow = asyncio.create_task(run_for(each.poll, 3700.0))
        await asyncio.sleep(3.0)
        each.poll.submit(read_command("M0001"))
        await asyncio.sleep(5.0)
        assert len(each.box.answers) == 1  # no longer than one question
        await flow
        rows = [capture.at for capture in each.box.store.captures]
        assert len(rows) == len(set(rows)) >= 4
        assert each.poll.health.silent == each.poll.health.refused == 0

    searching(work, SEARCH, LOAD)


def test_a_station_is_told_of_once_and_again_when_it_is_another() -> None:
    async def work(each: Search) -> None:
        for _ in range(2):
            each.search.start()
            await run_for(each.poll, 40.0)
        assert sorted(each.told()) == [18, 19]
        meter = each.box.meters[1]
        meter.identity |= dict.fromkeys(list(meter.identity)[1:2], b"99")
        each.search.start()
        await run_for(each.poll, 40.0)
        assert sorted(each.told()) == [18, 18, 19]

    searching(work)


def test_a_sweep_is_made_each_day_by_itself() -> None:
    async def work(each: Search) -> None:
        await run_for(each.poll, 3 * 3600.0)
        assert each.poll.health.probes == 7
        await run_for(each.poll, 86_400.0)
        assert each.poll.health.probes == 14

    searching(work)


def test_what_was_found_is_added_where_that_is_the_policy() -> None:
    async def work(each: Search) -> None:
        await run_for(each.poll, 600.0)
        device, serial, _ = (value.decode() for value in each.box.meters[1].identity.values())
        assert each.added == [Meter(device, "line", 18, READER.name, "idis", serial=serial)]
        assert sorted(each.stations.met) == [19]
        assert sorted(each.told()) == [18, 19]

    searching(work, replace(SEARCH, add=True))


def test_what_cannot_be_added_stays_found_with_the_reason() -> None:
    async def work(each: Search) -> None:
        each.refusal = "archive:1: serial: expected one that M7 has not"
        await run_for(each.poll, 600.0)
        assert each.stations.met[18].facts["problem"] == each.refusal
        assert each.stations.met[18].facts["profile"] == GENERIC

    searching(work, replace(SEARCH, add=True, profiles={}))


def test_without_default_keys_a_ciphered_access_is_not_tried() -> None:
    async def work(each: Search) -> None:
        each.poll.sessions._keys = {"": Keys()}
        await run_for(each.poll, 600.0)
        assert "no default keys for the access management" in each.stations.met[18].facts["problem"]

    searching(work, replace(SEARCH, access="management"))


@pytest.mark.parametrize(
    ("access", "keys", "problem"),
    [
        ("reader", Keys(), "no password"),
        ("management", Keys(b"", bytes(32), bytes(32)), "needs an encryption and an authentication key of 16 octets"),
    ],
)
def test_default_secrets_that_do_not_fit_are_the_stations_problem_alone(access: str, keys: Keys, problem: str) -> None:
    async def work(each: Search) -> None:
        each.poll.sessions._keys = {"": keys}
        await run_for(each.poll, 600.0)
        assert sorted(each.stations.met) == [18, 19]
        assert problem in each.stations.met[18].facts["problem"]

    searching(work, replace(SEARCH, access=access))


def test_a_line_that_is_gone_is_opened_again_and_the_search_goes_on() -> None:
    async def work(each: Search) -> None:
        port = Losable(each.box)
        each.poll.port = each.poll._line.port = port
        port.lost = True
        each.search.start()
        await run_for(each.poll, 60.0)
        assert (each.poll.health.probes, each.stations.met) == (0, {})
        port.lost = False
        await run_for(each.poll, 60.0)
        assert sorted(each.stations.met) == [18, 19]

    searching(work)


@pytest.mark.parametrize("name", ["", "a b", "#"])
def test_a_station_whose_words_are_no_names_is_named_by_its_place(name: str) -> None:
    async def work(each: Search) -> None:
        meter = each.box.meters[1]
        meter.identity |= dict.fromkeys(list(meter.identity)[:2], name.encode())
        await run_for(each.poll, 600.0)
        assert [added.id for added in each.added] == ["line-18"]

    searching(work, replace(SEARCH, add=True))


def test_behind_a_gateway_the_server_ports_of_the_range_are_asked() -> None:
    async def work(each: Search) -> None:
        gateway = MemoryGateway("line", each.box.meters, each.clock)
        each.poll.port = each.poll._line.port = gateway.port
        wrapped = replace(each.box.settings, framing=Framing.WRAPPER)
        each.search.bus = each.poll.sessions._bus = wrapped
        each.search.start()
        await run_for(each.poll, 120.0)
        assert sorted(each.stations.met) == [18, 19]
        assert each.stations.met[18].facts["profile"] == "idis"
        assert each.poll.health.probes == 7

    searching(work)
