"""A meter that counts in other units than before: nothing it says is read by what it used to say."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import pytest

from dcu.model import INSTANT, Capture, Task
from sim.household import Household
from sim.meter import FIRMWARE, SimMeter
from sim.registers import Register
from sim.virtual import VirtualClock
from tests.faults.test_changed_meters import DAY, ONE, TASKS, another, renamed
from tests.lines import Box, assert_true, run_for, settle, virtually


def scaled(meter: SimMeter, scaler: int) -> SimMeter:
    """Return `meter` with another scaler of its energies: its rows have the same form."""
    energies = {name: replace(each, scaler=scaler) for name, each in meter.registers.items() if name[3] == 8}
    meter.registers = {**meter.registers, **energies}
    return meter


def test_of_a_meter_with_other_scalers_that_has_counted_more_no_row_is_read_by_the_old_ones() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(*TASKS)
        await settle(poll)
        kept = len(box.store.captures)
        new = scaled(another(box.meters[0], int(clock.now()), younger=False), 1)
        box.bus.line.exchange("M0001", new)
        await run_for(poll, 2 * 3600.0)
        assert [name for name, _, _ in box.reports] == ["meter exchanged"]
        rows = box.store.captures[kept:]
        assert {each.stream for each in rows} == {INSTANT, "load0"}
        energies = [column for each in rows for column in each.columns if column.class_id == 3 and column.name[3] == 8]
        assert {column.scaler for column in energies} == {1}

    virtually(work)


def rescaled(meter: SimMeter, shift: int) -> None:
    """Parameterise `meter` anew: its energies count the same in tenths, or in tens, of what they did."""

    def shifted(register: Register, home: Household, at: int) -> int:
        return int(register.value(home, at) * 10.0**-shift)

    scaled(meter, shift)
    energies = {name: each for name, each in meter.registers.items() if name[3] == 8}
    others = {name: replace(each, value=partial(shifted, each)) for name, each in energies.items()}
    meter.registers = {**meter.registers, **others}


def scalers_of(rows: Sequence[Capture]) -> set[int]:
    return {column.scaler for each in rows for column in each.columns if column.class_id == 3 and column.name[3] == 8}


@pytest.mark.parametrize("program", ["same firmware", "another"])
@pytest.mark.parametrize(("shift", "within"), [(3, 3600), (-2, DAY)])
def test_registers_in_other_units_are_noticed_at_once_where_they_fall_and_else_within_a_day(
    shift: int, within: int, program: str
) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(*TASKS)
        await settle(poll)
        looked = clock.now()
        await run_for(poll, 7200.0)
        changed = clock.now()
        rescaled(box.meters[0], shift)
        if program == "another":
            renamed(box.meters[0], FIRMWARE)
        await run_for(poll, within + 900.0)
        await poll.handover.settled()
        told = [detail for name, _, detail in box.reports if name == "scaler changed"]
        names = ["firmware changed"] * (program == "another") + ["scaler changed"]
        assert [name for name, _, _ in box.reports] == names
        assert [(each["before"], each["now"]) for each in told] == [
            ("1-0:1.8.0.255: 10^0 Wh", f"1-0:1.8.0.255: 10^{shift} Wh")
        ]
        assert abs(datetime.fromisoformat(str(told[0]["since"])).timestamp() - looked) < 60
        kept = len(box.store.captures)
        await run_for(poll, 7200.0)
        await poll.handover.settled()
        late = box.store.captures[kept:]
        assert {each.stream for each in late} == {INSTANT, "load0"}
        assert scalers_of(late) == {shift}
        if within < DAY:
            assert scalers_of([each for each in box.store.captures if each.read_at > changed]) == {shift}
        assert_true(box, late)

    virtually(work)


INDIAN = replace(ONE, indian=256)
INDIAN_TASKS = (
    Task(INSTANT, every=3600.0),
    Task("load0", every=1800.0, offset=5.0, backfill=3600.0),
    Task("daily", every=86_400.0),
)


@pytest.mark.parametrize(("shift", "within"), [(3, 3600), (-2, DAY)])
def test_profiles_that_tell_other_scalers_are_noticed_as_registers_are(shift: int, within: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, INDIAN)
        poll = box.poll(*INDIAN_TASKS)
        await settle(poll)
        await run_for(poll, 7200.0)
        rescaled(box.meters[0], shift)
        await run_for(poll, within + 1800.0)
        await poll.handover.settled()
        assert [(name, detail["before"], detail["now"]) for name, _, detail in box.reports] == [
            ("scaler changed", "1-0:1.8.0.255: 10^1 Wh", f"1-0:1.8.0.255: 10^{shift} Wh")
        ]
        kept = len(box.store.captures)
        await run_for(poll, 7200.0)
        await poll.handover.settled()
        late = box.store.captures[kept:]
        assert {each.stream for each in late} >= {INSTANT, "load0"}
        assert scalers_of(late) == {shift}
        assert_true(box, late)
        assert len(box.reports) == 1

    virtually(work)


def test_registers_in_other_units_since_the_last_start_are_noticed_at_the_first_visit() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        await settle(box.poll(*TASKS))
        kept = len(box.store.captures)
        rescaled(box.meters[0], -2)
        poll = box.poll(*TASKS)
        await poll.step()
        await poll.handover.settled()
        assert [(name, detail["since"]) for name, _, detail in box.reports] == [("scaler changed", None)]
        assert len(box.store.captures) == kept
        await asyncio.sleep(3600.0)
        await settle(box.poll(*TASKS))
        assert scalers_of(box.store.captures[kept:]) == {-2}

    virtually(work)
