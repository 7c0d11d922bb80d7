"""Streams that another client reads: in an association of its own within the same visit, and at its own risk."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.model import ALARM, INSTANT, Access, Authentication, Command, Keys, Outcome, Priority, Reach, Task, Visit
from dcu.polling.poll import Poll
from dcu.polling.readers import RETRY, Postponed, opened_for, readers
from sim.fleet import FleetPlan
from sim.meter import SimMeter
from sim.virtual import VirtualClock
from tests.lines import COMPANION, LOAD, Box, run_for, settle, virtually

MANAGEMENT = Access("management", 1, Authentication.HLS_GMAC, ciphered=True)
BILLING = "idis:management"
ALONE = FleetPlan(meters=1, buses=1, hls=0, seed=4)
NOW = Task(INSTANT, every=900.0)


def by_management(*streams: str) -> Any:
    tasks = dict.fromkeys(streams, "management")
    return replace(COMPANION, clients={"management": MANAGEMENT}, tasks=tasks)


class Bus:
    """A line with one meter that the reader reads, but for `streams`, which are the management client's."""

    def __init__(self, clock: VirtualClock, *streams: str, tasks: tuple[Task, ...] = (NOW, LOAD)) -> None:
        self.box = Box(clock, ALONE)
        self.box.companion = by_management(*streams)
        self.poll: Poll = self.box.poll(*tasks)
        self.poll.sessions._access = {**self.box.fleet.access, **self.box.companion.access}
        self.poll.sessions._keys = {"M0001": self.box.meters[0].plate.keys}

    @property
    def kept(self) -> set[str]:
        return {each.stream for each in self.box.store.captures}


def test_each_stream_has_its_reader_and_ours_come_first() -> None:
    async def work(clock: VirtualClock) -> None:
        archive = Bus(clock, "load0", "event.*", "meter.*", "*").poll.archive
        ours, theirs = archive.meter("M0001"), replace(archive.meter("M0001"), access=BILLING)
        assert readers(archive, "M0001", ["load0", "instant", "event.fraud", "daily"]) == {
            ours: ["instant", "daily"],  # `*` alone stands for commands
            theirs: ["load0", "event.fraud"],
        }
        assert readers(archive, "M0001", ["load0"]) == {ours: [], theirs: ["load0"]}
        assert opened_for(archive, "M0001", Command("c", "meter.read", args={"profile": "load0"})) == theirs
        assert opened_for(archive, "M0001", Command("c", "meter.set")) == theirs

    virtually(work)


def test_without_another_reader_nothing_is_looked_for() -> None:
    async def work(clock: VirtualClock) -> None:
        archive = Box(clock).archive()
        assert readers(archive, "M0001", ["load0", "instant"]) == {archive.meter("M0001"): ["load0", "instant"]}
        command = Command("c", "meter.read", args={"profile": "load0"})
        assert opened_for(archive, "M0001", command) is archive.meter("M0001")

    virtually(work)


def test_another_clients_streams_are_read_in_a_second_association_of_the_same_visit() -> None:
    async def work(clock: VirtualClock) -> None:
        bus = Bus(clock, "load0")
        await settle(bus.poll)
        first = bus.poll.health.visits
        assert bus.kept == {INSTANT, "load0"}
        assert bus.box.meters[0].heard > 0, "ciphered, as only the management client is"
        await run_for(bus.poll, 1800.0)
        assert bus.poll.health.visits - first <= 4
        assert (bus.poll.health.refused, bus.poll.health.silent, bus.poll.health.partly) == (0, 0, 0)
        rows = [each.at for each in bus.box.store.captures if each.stream == "load0"]
        assert len(rows) == len(set(rows)) >= 6

    virtually(work)


def test_where_the_fleet_shares_its_keys_another_meter_shows_itself_to_another_client_too() -> None:
    """We ourselves are never told a title: the one that the other client is told has to be known to prove anything."""

    async def work(clock: VirtualClock) -> None:
        bus = Bus(clock, "load0", tasks=(Task(INSTANT, every=86_400.0), LOAD))
        await run_for(bus.poll, 1800.0)
        old, mark = bus.box.meters[0], max(each.at for each in bus.box.store.captures if each.stream == "load0")
        new = SimMeter(replace(old.plate, id="N1"))
        bus.box.bus.line.exchange("M0001", new)
        await run_for(bus.poll, 7200.0)
        assert "meter exchanged" in [name for name, _, _ in bus.box.reports]
        rows = [each for each in bus.box.store.captures if each.at > mark and each.stream == "load0"]
        assert len(rows) >= 6
        for each in rows:
            assert each.values == tuple(new.value(column, each.at) for column in each.columns)

    virtually(work)


@pytest.mark.parametrize("keys", [Keys(), Keys(b"", b"not the right key", b"nor is this one!")])
def test_a_client_that_is_not_let_in_costs_its_own_streams_alone(keys: Keys) -> None:
    async def work(clock: VirtualClock) -> None:
        bus = Bus(clock, "load0")
        bus.poll.sessions._keys = {"M0001": replace(bus.box.meters[0].plate.keys, **_secrets(keys))}
        await run_for(bus.poll, 3 * 900.0)
        health = bus.poll.health
        assert bus.kept == {INSTANT}
        assert len(bus.box.store.captures) >= 3
        assert bus.poll.plan.reach("M0001") is Reach.REACHABLE
        assert (health.refused, health.silent) == (0, 0)
        assert health.partly >= 3
        # it is not tried again and again, but when it falls due, and later
        assert health.visits <= 8
        assert health.error
        bus.poll.sessions._keys = {"M0001": bus.box.meters[0].plate.keys}
        await run_for(bus.poll, RETRY)
        assert bus.kept == {INSTANT, "load0"}

    virtually(work)


def _secrets(keys: Keys) -> dict[str, bytes]:
    return {"encryption_key": keys.encryption_key[:16], "authentication_key": keys.authentication_key[:16]}


def test_a_meter_that_answers_nobody_is_silent_and_one_that_answers_us_is_not() -> None:
    async def work(clock: VirtualClock) -> None:
        bus = Bus(clock, "load0", tasks=(LOAD,))
        bus.box.bus.silence("M0001")
        await bus.poll.step()
        assert (bus.poll.health.silent, bus.poll.plan.reach("M0001")) == (1, Reach.DEGRADED)
        other = Bus(clock, "load0", tasks=(LOAD,))
        wrong = Keys(b"", bytes(16), bytes(16))
        other.poll.sessions._keys = {"M0001": replace(other.box.meters[0].plate.keys, **_secrets(wrong))}
        await other.poll.step()
        assert (other.poll.health.partly, other.poll.plan.reach("M0001")) == (1, Reach.REACHABLE)

    virtually(work)


def test_what_another_client_reads_is_read_on_demand_by_it_too() -> None:
    async def work(clock: VirtualClock) -> None:
        bus = Bus(clock, "load0", tasks=())
        end = int(clock.now())
        args: dict[str, object] = {"profile": "load0", "from": end - 3600, "to": end}
        command = Command("c", "meter.read", ("M0001",), args)
        bus.poll.submit(Visit("M0001", command=command, priority=Priority.COMMAND))
        await bus.poll.step()
        ((_, answer, error),) = bus.box.answers
        assert error is None
        assert answer is not None
        assert len(answer["captures"]) == 4
        assert bus.box.meters[0].heard > 0

    virtually(work)


def test_what_is_postponed_comes_again_once_in_its_order() -> None:
    postponed = Postponed()
    postponed.put("A", ["load0"], 0.0)
    postponed.put("B", ["load0"], 10.0)
    postponed.put("A", ["billing", "load0"], 20.0)
    assert postponed.due(RETRY) == []
    assert postponed.due(RETRY + 15.0) == [("B", ("load0",))]
    assert postponed.due(2 * RETRY) == [("A", ("load0", "billing"))]
    assert postponed.due(1e9) == []


def test_what_failed_with_another_client_is_tried_again_though_it_is_not_due_for_long() -> None:
    async def work(clock: VirtualClock) -> None:
        rarely = Task("load0", every=7 * 86_400.0, offset=5 * 86_400.0, backfill=3600.0)
        bus = Bus(clock, "load0", tasks=(NOW, rarely))
        keys = bus.poll.sessions._keys
        bus.poll.sessions._keys = {"M0001": replace(keys["M0001"], encryption_key=b"")}
        await settle(bus.poll)
        bus.poll.sessions._keys = keys
        await run_for(bus.poll, RETRY / 2)
        assert bus.kept == {INSTANT}
        await run_for(bus.poll, RETRY)
        assert "load0" in bus.kept

    virtually(work)


def test_logs_of_another_client_wait_for_it_when_an_alarm_has_changed() -> None:
    async def work(clock: VirtualClock) -> None:
        tasks = (
            Task(ALARM, every=60.0),
            Task("event.fraud", every=7 * 86_400.0, offset=5 * 86_400.0, backfill=86_400.0),
        )
        bus = Bus(clock, "event.*", tasks=tasks)
        collecting = bus.poll._collecting
        session = await bus.poll.sessions.open(bus.poll.port, bus.poll.archive.meter("M0001"))
        gather = collecting.gather

        async def alarmed(*args: Any, own: bool) -> Any:
            return replace(await gather(*args, own=own), alarmed=True)

        collecting_type = type(collecting)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(collecting_type, "gather", lambda _, *args, own: alarmed(*args, own=own))
            _, missed = await collecting.collect(session, bus.poll.archive.meter("M0001"), [ALARM])
        # asked for by us it would be taken for a log that the meter does not have
        assert missed == ["event.fraud"]
        assert not bus.poll.archive.lacks("M0001", "event.fraud")
        await session.close()

    virtually(work)


def test_a_command_between_the_associations_lets_the_rest_wait() -> None:
    async def work(clock: VirtualClock) -> None:
        bus = Bus(clock, "load0")
        poll = bus.poll
        visit = poll.plan.next_visit(clock.monotonic())
        assert visit is not None
        poll._collecting.urged = lambda: True
        assert await poll._attempt(visit) is Outcome.YIELDED
        assert bus.kept == set()
        poll.plan.finished(visit, Outcome.YIELDED, clock.monotonic(), poll._got)
        poll._collecting.urged = lambda: False
        await settle(poll)
        assert bus.kept == {INSTANT, "load0"}

    virtually(work)
