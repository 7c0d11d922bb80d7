"""A box that dies at any step of a key change, and answers lost at any step: the meter stays ours, under one set."""

from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from dcu.conversation.invocations import Ledger
from dcu.conversation.session import QUIET
from dcu.errors import DcuError, NotGivenError
from sim.virtual import VirtualClock
from tests.lines import virtually
from tests.rekeying import Dead, Rekeying, noting


def assert_ours(rekeying: Rekeying) -> None:
    """The meter has one of the two sets, we know which, and no counter was used twice under one key.

    The other may still be on its way, if the meter has the old one: it may turn.
    """
    assert rekeying.meter.keys in {rekeying.old, rekeying.given}
    assert rekeying.changes.in_force("M0001") == rekeying.meter.keys
    assert rekeying.settled() or rekeying.meter.keys == rekeying.old
    assert len(set(rekeying.used)) == len(rekeying.used)


async def turned(rekeying: Rekeying) -> None:
    """What the meter has taken it uses from now on, and the box starts anew."""
    rekeying.meter.turn()
    await rekeying.start()
    await rekeying.read()
    assert_ours(rekeying)


@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "later"])
@pytest.mark.parametrize("deaths", [1, 2])
def test_wherever_the_box_dies_the_meter_opens_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, *, prompt: bool
) -> None:
    """Each step in turn is the last one; with two deaths the visit that makes it good dies at each step too."""

    async def work(clock: VirtualClock, steps: int) -> bool:
        rekeying = Rekeying(clock, tmp_path)
        rekeying.meter.prompt = prompt
        monkeypatch.setattr(Ledger, "take", noting(rekeying.used))
        died = False
        for _ in range(deaths):
            await rekeying.start()
            rekeying.store.steps = steps
            try:
                with suppress(NotGivenError):  # not yet
                    await (rekeying.read() if died else rekeying.change())
            except Dead:
                died = True
        await rekeying.start()
        await rekeying.read()
        assert_ours(rekeying)
        await turned(rekeying)
        with suppress(NotGivenError):
            await rekeying.change()
        await turned(rekeying)
        assert rekeying.meter.keys == rekeying.given
        return died

    for steps in count():
        if not virtually(partial(work, steps=steps)):
            break
    assert steps > 20


@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "later"])
@pytest.mark.parametrize("lost", [1, 2, 3, 6])
def test_wherever_answers_are_lost_one_of_the_two_sets_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int, *, prompt: bool
) -> None:
    async def work(clock: VirtualClock, first: int) -> bool:
        rekeying = Rekeying(clock, tmp_path)
        rekeying.meter.prompt = prompt
        monkeypatch.setattr(Ledger, "take", noting(rekeying.used))
        await rekeying.start()
        rekeying.port.eaten = range(first, first + lost)
        try:
            await rekeying.change()
        except DcuError:
            done = False
        else:
            done = True
        rekeying.port.eaten = range(0)
        assert rekeying.meter.keys == rekeying.given or not done
        await rekeying.port.drain(QUIET)
        await rekeying.read()
        assert_ours(rekeying)
        await turned(rekeying)
        return rekeying.port.writes >= first

    for first in count(1):
        if not virtually(partial(work, first=first)):
            break
    assert first > 8
