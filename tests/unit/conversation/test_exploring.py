"""A meter of which nothing is known: what it has is found, kept, read, and written down so that it can be kept."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.conversation.exploring import MAX_OBJECTS, companion, explore, from_data, to_data
from dcu.conversation.writing import written
from dcu.dlms.services import AccessError
from dcu.errors import MeterError, NotGivenError
from dcu.model import ALARM, INSTANT, Attribute, Task
from dcu.obis import parse_obis
from dcu.profiles import ProfileStream, load_profile, parse_profile
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, assert_true, settle, virtually
from tests.scripts import scripted

GENERIC = load_profile("generic")
DAY = 86_400.0


class Unknown(Box):
    """A box whose meters' configuration says nothing of them."""

    def __init__(self, clock: VirtualClock, plan: FleetPlan | None = None) -> None:
        super().__init__(clock, plan or FleetPlan(meters=2, buses=1, hls=0, seed=4))
        self.companion = GENERIC


def test_an_idis_meter_is_found_to_have_what_its_profile_says() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Unknown(clock)
        session = await box.session()
        found = await explore(session, GENERIC)
        await session.close()
        assert (found.clock, found.disconnect, found.identity) == (
            COMPANION.clock,
            COMPANION.disconnect,
            COMPANION.identity,
        )
        called = {"load0": "load0", "load1": "load1", "daily": "daily", "billing": "billing"}
        called |= {"event.0": "event.standard", "event.1": "event.fraud", "event.2": "event.disconnector"}
        assert {called[name]: each.name for name, each in found.streams.items()} == {
            name: each.name for name, each in COMPANION.streams.items()
        }
        assert (found.streams["load0"].period, found.streams["daily"].period) == (900, 86_400)
        assert found.streams["load0"].columns[1:3] == (parse_obis("0-0:96.10.1.255"), parse_obis("1-0:1.8.0.255"))
        single = {each.name for each in COMPANION.registers} & set(box.meters[0].registers)
        assert single <= {each.name for each in found.registers}
        assert found.alarms is not None

    virtually(work)


def test_it_is_read_like_any_other_and_asked_for_its_objects_once_in_its_life() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Unknown(clock)
        tasks = [Task(stream, every=DAY, backfill=DAY) for stream in (INSTANT, "load0", "event.0", "event.9", ALARM)]
        poll = box.poll(*tasks)
        await settle(poll)
        streams = {(each.meter, each.stream) for each in box.store.captures}
        assert {("M0001", "load0"), ("M0002", "load0"), ("M0001", INSTANT)} <= streams
        assert poll.health.ok == poll.health.visits
        association = parse_obis("0-0:40.0.0.255")
        asked = [each.served[association] for each in box.meters]
        assert asked == [1, 1]
        again = box.poll(*tasks)  # a restart
        await settle(again)
        assert [each.served[association] for each in box.meters] == asked
        archive = again.archive
        assert archive.profile("M0001").streams["load0"].name == COMPANION.streams["load0"].name
        box.companion = COMPANION
        assert_true(box, [each for each in box.store.captures if each.stream in {"load0", INSTANT}])

    virtually(work)


def test_an_indian_meter_shows_its_profile_of_instantaneous_values() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Unknown(clock, FleetPlan(meters=1, buses=1, hls=0, seed=4, indian=256))
        session = await box.session()
        found = await explore(session, GENERIC)
        await session.close()
        assert found.streams[INSTANT].name == parse_obis("1-0:94.91.0.255")
        assert (found.registers, found.streams["load0"].period) == ((), 1800)
        assert not any(name.startswith("other") for name in found.streams), "scaler profiles have no rows"
        assert parse_profile("maker", written(found)).streams == found.streams

    virtually(work)


def test_what_is_kept_is_what_was_found() -> None:
    streams = {"load0": ProfileStream(parse_obis("1-0:99.1.0.255"), 900), "event.0": ProfileStream(bytes(6))}
    found = replace(COMPANION, name="generic", streams=streams, event_codes={"event.0": {}})
    again = from_data(replace(GENERIC, status=found.status), to_data(found))
    assert replace(again, alarms=found.alarms) == found
    assert again.alarms is not None
    assert found.alarms is not None
    assert again.alarms.register == found.alarms.register


def test_profiles_of_one_kind_are_numbered() -> None:
    held = {parse_obis(f"1-0:99.{place}.255"): ProfileStream(b"", 900) for place in ("1.0", "2.0", "3.0", "1.1")}
    held[parse_obis("1-0:99.4.0.255")] = ProfileStream(b"", 60)
    assert set(companion(GENERIC, [], held).streams) == {"load0", "load0-2", "load1", "load1-2", "other.1.0.99.4.0"}


def test_a_clock_elsewhere_is_found() -> None:
    elsewhere = parse_obis("0-1:1.0.0.255")
    assert companion(GENERIC, [(8, elsewhere)], {}).clock == Attribute(8, elsewhere)
    assert companion(GENERIC, [(8, elsewhere), (8, GENERIC.clock.name)], {}).clock == GENERIC.clock


async def test_a_meter_that_will_not_tell_is_said_to() -> None:
    with pytest.raises(NotGivenError, match="does not tell"):
        await explore(scripted(lambda item: AccessError(3)), GENERIC)


@pytest.mark.parametrize("answer", [7, [7], [[1, 0, b"short"]], [[1, 0, bytes(6), []]] * (MAX_OBJECTS + 1)])
async def test_what_is_no_object_list_is_the_meters_fault(answer: Any) -> None:
    with pytest.raises(MeterError, match="object"):
        await explore(scripted(lambda item: answer), GENERIC)
