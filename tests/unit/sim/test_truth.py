"""Truth is independent of the server: what the daemon's own client reads from it must equal the truth."""

import pytest

from dcu.dlms import axdr, cosem
from dcu.dlms.axdr import DateTime
from dcu.dlms.services import Get, by_range
from dcu.model import Attribute, Column
from dcu.obis import parse_obis
from sim.household import DAY
from sim.meter import SimMeter
from sim.profiles import CLOCK, PROFILES
from sim.truth import expected_times, expected_values
from tests.unit.sim.conversation import NOW, hdlc, meter

END = int(NOW)


@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", list(PROFILES[1]))
def test_rows_read_equal_the_truth(phases: int, compressed: bool, name: bytes) -> None:
    simulated = meter(phases=phases, compressed=compressed, solar=True)
    start = END - (3 if simulated.profiles[name].period == 900 else 90) * DAY
    rows, columns = read(simulated, name, start, END)
    assert tuple(at for at, _, _ in rows) == expected_times(simulated, name, start, END)
    assert rows
    for at, status, values in rows:
        assert status == 0
        assert values == expected_values(simulated, columns, at)


def read(simulated: SimMeter, name: bytes, start: int, end: int) -> tuple[list[cosem.Row], tuple[Column, ...]]:
    talk = hdlc(simulated)
    talk.open()
    objects, period = talk.get(Attribute(7, name, 3), Attribute(7, name, 4))
    columns = cosem.decode_capture_objects(objects)
    first, last = (axdr.date_time(DateTime.from_utc(moment)) for moment in (start, end))
    (buffer,) = talk.ask(Get(Attribute(7, name), by_range(Attribute(8, CLOCK), first, last)))
    rows, bad = cosem.profile_rows(buffer, columns, period)
    assert bad == 0
    return rows, cosem.value_columns(columns)


def test_the_clock_of_the_meter_labels_its_captures() -> None:
    simulated = meter(clock_offset=1800.0)
    talk = hdlc(simulated)
    talk.open()
    name = parse_obis("1-0:1.8.0.255")
    clock, energy = talk.get(Attribute(8, CLOCK), Attribute(3, name))
    assert DateTime.from_bytes(clock).utc() == END + 1800
    assert (energy,) == expected_values(simulated, [Column(3, name)], END + 1800)


def test_an_unknown_column_has_no_truth() -> None:
    with pytest.raises(KeyError):
        expected_values(meter(), [Column(3, parse_obis("1-0:72.7.0.255"))], END)
