"""What is written into a clock that is set: no status that the meter does not specify, and by the name that it has."""

from typing import Any

import pytest

from dcu.dlms.axdr import DateTime
from dcu.model import NO_STATUS
from sim import objects
from sim.fleet import FleetPlan
from sim.meter import SimMeter
from tests.lines import run_for
from tests.unit.polling.test_clocks import LOAD, SETTING, Field, in_the_field, set_clock


@pytest.mark.parametrize(("status", "written"), [(0x00, 0x00), (0x80, 0x80), (0x83, 0x80), (NO_STATUS, NO_STATUS)])
def test_a_clock_is_set_with_the_daylight_saving_it_had(
    monkeypatch: pytest.MonkeyPatch, status: int, written: int
) -> None:
    shown, taken = SimMeter.moment, objects._set_time
    found: list[int] = []

    def take(value: Any) -> int:
        found.append(value.status if isinstance(value, DateTime) else value[-1])
        return taken(value)

    monkeypatch.setattr(SimMeter, "moment", lambda self, at: shown(self, at)._replace(status=status))
    monkeypatch.setattr(objects, "_set_time", take)

    async def work(field: Field) -> None:
        field.wrong(0, -700.0, shifts=False)
        poll = field.box.poll()
        poll.submit(set_clock("M0001"))
        await poll.step()
        assert field.box.answers[0][2] is None
        assert found == [written]

    in_the_field(work)


def test_an_old_meter_has_its_time_written_by_its_short_name() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        await run_for(field.box.poll(LOAD), 1200.0)
        assert [name for name, _, _ in field.moved] == ["M0001"]
        assert [each["method"] for each in field.events("clock adjusted")] == ["set"]
        assert abs(field.offset(0)) <= 1.5

    in_the_field(work, SETTING, FleetPlan(meters=1, buses=1, hls=0, old=256))
