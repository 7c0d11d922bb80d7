"""The status octet of a clock that is set: what the meter does not specify is not made up for it."""

from typing import Any

import pytest

from dcu.dlms.axdr import DateTime
from dcu.model import NO_STATUS
from sim import objects
from sim.meter import SimMeter
from tests.unit.polling.test_clocks import Field, in_the_field, set_clock


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
