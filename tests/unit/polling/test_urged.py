"""Who tells something is read for it: the first time at once, then once in a while, and before what is scheduled."""

import asyncio
from typing import Any

import pytest

from dcu.conversation.session import Session
from dcu.dlms import axdr
from dcu.dlms.notifications import decode_notification
from dcu.model import PUSH
from dcu.polling.poll import Poll
from dcu.polling.urged import PAUSE, Urged
from sim.virtual import VirtualClock
from tests.lines import run_for, settle, virtually
from tests.unit.polling.test_pushes import RARELY, Street, changed, push


def test_who_has_just_been_read_waits_and_is_not_forgotten() -> None:
    urged = Urged()
    urged.put(["A", "A", "B"])
    assert urged.due(0.0) == ["A", "B"]
    urged.put(["A", "C"])
    assert urged.due(1.0) == ["C"]
    assert urged.due(PAUSE - 0.1) == []
    assert urged.due(PAUSE) == ["A"]
    assert urged.due(9 * PAUSE) == []


def test_a_meter_that_tells_something_every_second_is_read_for_it_once_a_minute() -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock, None, RARELY)
        await settle(street.poll)
        before = street.poll.health.visits
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(street.poll, 10 * PAUSE))
            for number in range(int(10 * PAUSE) - 10):
                await asyncio.sleep(1.0)
                street.say(push(axdr.u32(number)))
            await flow
        assert 8 <= street.poll.health.visits - before <= 11

    virtually(work)


def test_a_meter_that_tells_something_in_every_visit_is_not_visited_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(clock: VirtualClock) -> None:
        street = Street(clock, None, RARELY)
        await settle(street.poll)
        heed = Poll._heed

        async def heard(self: Poll, session: Session, meter: str) -> Any:
            session.notified.append(decode_notification(changed(8192)))
            return await heed(self, session, meter)

        monkeypatch.setattr(Poll, "_heed", heard)
        before = street.poll.health.visits
        street.say(changed(1))
        await run_for(street.poll, 10 * PAUSE)
        assert 8 <= street.poll.health.visits - before <= 11
        assert len([each for each in street.kept if each.stream == PUSH]) >= 8

    virtually(work)
