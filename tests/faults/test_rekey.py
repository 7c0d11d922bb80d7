"""A box that dies at any step of a key change, and answers lost at any step: the meter stays ours, under one set."""

from itertools import count
from pathlib import Path

import pytest

from dcu.errors import DcuError
from dcu.invocations import Ledger
from sim.virtual import VirtualClock
from tests.lines import virtually
from tests.rekeying import Dead, Rekeying, noting


@pytest.mark.parametrize("deaths", [1, 2])
def test_wherever_the_box_dies_the_meter_opens_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    """Each step in turn is the last one; with two deaths the visit that makes it good dies at each step too."""

    async def work(clock: VirtualClock, steps: int) -> tuple[bool, bool]:
        rekeying = Rekeying(clock, tmp_path)
        monkeypatch.setattr(Ledger, "take", noting(rekeying.used))
        died = False
        for _ in range(deaths):
            await rekeying.start()
            rekeying.store.steps = steps
            try:
                await (rekeying.read() if died else rekeying.change())
            except Dead:
                died = True
        await rekeying.start()
        await rekeying.read()
        assert rekeying.meter.keys in {rekeying.old, rekeying.given}
        assert rekeying.settled()
        assert len(set(rekeying.used)) == len(rekeying.used)
        await rekeying.change()
        assert rekeying.meter.keys == rekeying.given
        assert rekeying.settled()
        return died, rekeying.meter.keys == rekeying.given

    for steps in count():
        died, _ = virtually(lambda clock, steps=steps: work(clock, steps))  # type: ignore[misc]
        if not died:
            break
    assert steps > 20


def test_wherever_answers_are_lost_one_of_the_two_sets_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "take", Ledger.take)

    async def work(clock: VirtualClock, first: int, lost: int) -> int:
        rekeying = Rekeying(clock, tmp_path)
        monkeypatch.setattr(Ledger, "take", noting(rekeying.used))
        await rekeying.start()
        rekeying.port.eaten = range(first, first + lost)
        try:
            told = await rekeying.change()
        except DcuError:
            told = None
        rekeying.port.eaten = range(0)
        if told is not None:
            assert rekeying.meter.keys == rekeying.given
        await rekeying.port.drain(0.25)
        await rekeying.read()
        assert rekeying.settled()
        assert rekeying.meter.keys in {rekeying.old, rekeying.given}
        assert len(set(rekeying.used)) == len(rekeying.used)
        return rekeying.port.writes

    for lost in (1, 2, 3, 6):
        for first in count(1):
            if virtually(lambda clock, first=first, lost=lost: work(clock, first, lost)) < first:  # type: ignore[misc]
                break
        assert first > 8
