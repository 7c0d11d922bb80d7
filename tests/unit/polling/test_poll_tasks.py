"""What a timetable may name besides the streams of the profile: lists of one's own, and errands."""

from dcu.model import CLOCK, IDENTITY, Attribute, Task
from dcu.obis import parse_obis
from sim.virtual import VirtualClock
from tests.lines import Box, settle, virtually

VOLTAGE = Attribute(3, parse_obis("1-0:32.7.0.255"))
SERIAL = Attribute(1, parse_obis("0-0:96.1.0.255"))
NOWHERE = Attribute(3, parse_obis("1-0:99.9.9.255"))
QUALITY = Task("quality", every=3600.0, objects=(SERIAL, NOWHERE, VOLTAGE))


def test_a_list_of_ones_own_is_read_as_a_stream_of_that_name() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        await settle(box.poll(QUALITY))
        for meter in box.meters:
            (capture,) = [each for each in box.store.captures if each.meter == meter.id]
            assert capture.stream == "quality"
            # what the meter lacks falls out; scaler and unit (35: V) were learned
            assert [column.name for column in capture.columns] == [SERIAL.name, VOLTAGE.name]
            assert capture.columns[1].unit == 35
            assert capture.values == tuple(meter.value(column, capture.at) for column in capture.columns)
        # the operator may change a list: it is asked for anew after each start, and never kept
        assert all("quality" not in shapes for shapes in box.store.shapes.values())

    virtually(work)


def test_errands_are_no_streams() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(Task(CLOCK, every=3600.0), Task(IDENTITY, every=3600.0))
        await settle(poll)
        assert (poll.health.ok, poll.health.partly) == (2, 0)
        assert box.store.captures == []
        # the meter was asked who it is
        assert all("@identity" in shapes for shapes in box.store.shapes.values())

    virtually(work)
