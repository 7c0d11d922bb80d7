"""Which commands are taken, and which of those that were taken are begun late."""

from typing import Any

import pytest

from dcu.clock import ClockState
from dcu.errors import CommandRejected
from dcu.model import Command, CommandRecord, CommandState, Role
from dcu.obeying.admission import TOO_OLD, UNDERWAY_BOUND, Admission, bound, mistake, unreadable
from tests.captures import SetClock

ACT = {"object": "0-0:13.0.0.255", "class": 20, "method": 1, "value": None}


class Unset(SetClock):
    def state(self) -> ClockState:
        return ClockState.UNSET


def admission(clock: SetClock | None = None) -> Admission:
    return Admission({"M1"}.__contains__, (Role.VIEWER, Role.OPERATOR), clock or SetClock())


def execute(**more: Any) -> Command:
    return Command("x1", "meter.execute", ("M1",), dict(ACT), received=SetClock().now(), **more)


def read(**more: Any) -> Command:
    return Command("c1", "meter.read", ("M1",), received=SetClock().now(), **more)


def test_what_is_taken() -> None:
    assert admission().refusal(execute(expires=SetClock().now() + 5), 0) is None
    assert admission().read(b'{"id": "p", "name": "dcu.ping"}', "mqtt").name == "dcu.ping"


@pytest.mark.parametrize(
    ("command", "underway", "reason"),
    [
        (Command("c", "meter.read", ("M9",)), 0, "no such meter: M9"),
        (Command("c", "meter.read", targets="all", door="local"), 0, "commands to many meters come by MQTT"),
        (Command("c", "meter.set", ("M1",)), 0, "meter.set is for the role engineer"),
        (Command("c", "meter.explode", ("M1",)), 0, "no such command any more"),
        (read(), UNDERWAY_BOUND, "1000 commands are under way already"),
        (Command("c", "meter.execute", ("M1",), ACT | {"class": 70}), 0, "does not change the disconnector"),
    ],
)
def test_what_is_refused(command: Command, underway: int, reason: str) -> None:
    assert reason in str(admission().refusal(command, underway))


def test_under_a_clock_that_is_not_trusted_nothing_is_changed_that_may_be_too_late() -> None:
    unset = admission(Unset())
    assert "clock is not trusted" in str(unset.refusal(execute(expires=1.0), 0))
    assert unset.refusal(execute(), 0) is None
    assert unset.refusal(read(expires=1.0), 0) is None
    # how long it has been waiting, nobody can tell
    assert "clock is not trusted" in str(unset.lapse(CommandRecord(execute(), CommandState.ACCEPTED)))
    assert unset.lapse(CommandRecord(execute(), CommandState.RUNNING)) is None


def test_what_changes_something_is_begun_soon_or_never() -> None:
    clock = SetClock()
    clock.time += TOO_OLD + 1
    late = admission(clock)
    for state, command, reason in (
        (CommandState.ACCEPTED, execute(), "not begun within 900 s"),
        (CommandState.ACCEPTED, execute(expires=clock.time + 5), None),
        (CommandState.RUNNING, execute(), None),
        (CommandState.ACCEPTED, read(), None),
        (CommandState.ACCEPTED, Command("c", "meter.read", ("M9",)), "no such meter any more: M9"),
        (CommandState.RUNNING, Command("c", "meter.set", ("M1",)), "meter.set is for the role engineer"),
    ):
        found = late.lapse(CommandRecord(command, state))
        assert (found or "").startswith(reason or "")
        assert (found is None) is (reason is None)


def limits(class_id: int, name: str, attribute: int = 4) -> Command:
    args: dict[str, object] = {"object": name, "class": class_id, "attribute": attribute}
    return Command("l1", "meter.set", ("M1",), args | {"value": 0, "type": "double-long-unsigned"})


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (limits(71, "0-0:17.0.0.255"), "the limiter"),
        (limits(71, "0-0:128.0.0.255", 5), "the limiter"),
        (limits(3, "0-0:17.0.0.255"), "the limiter"),
        (limits(21, "0-0:16.0.1.255", 2), "a register monitor"),
        (limits(1, "0-0:16.0.1.255", 2), "a register monitor"),
    ],
)
def test_what_may_interrupt_supply_by_itself_is_set_up_only_where_an_operator_is_allowed_too(
    command: Command, what: str
) -> None:
    reason = f"meter.set of {what}, which may interrupt supply, is for the role operator, too, which dcu.allow lacks"
    engineer = Admission({"M1"}.__contains__, (Role.ENGINEER,), SetClock())
    assert engineer.refusal(command, 0) == reason
    # taken away while it waited
    assert engineer.lapse(CommandRecord(command, CommandState.ACCEPTED)) == reason
    assert engineer.refusal(limits(3, "1-0:1.8.0.255"), 0) is None
    both = Admission({"M1"}.__contains__, (Role.ENGINEER, Role.OPERATOR), SetClock())
    assert "dcu.allow" not in str(both.refusal(command, 0))
    assert "is for the role engineer" in str(admission().refusal(command, 0))


async def test_a_command_is_for_the_device_that_its_meter_is_when_it_is_taken() -> None:
    async def device(meter: str) -> dict[str, str]:
        return {"serial": f"of {meter}"}

    assert await bound(execute(), device) == execute(device={"serial": "of M1"})
    # who asks all does not mean one of them
    for command in (Command("c", "dcu.ping"), Command("c", "meter.read", targets="all")):
        assert await bound(command, device) is command


def test_garbage_has_a_line_of_its_own_by_its_id_or_by_what_it_is() -> None:
    named = unreadable(CommandRejected("x", "c1"), b"garbage", "mqtt", 1.0)
    blank = unreadable(CommandRejected("x"), b"garbage", "mqtt", 1.0)
    assert (named.id, named.name) == ("c1", "")
    assert blank.id == unreadable(CommandRejected("y"), b"garbage", "local", 2.0).id != named.id


def test_our_own_mistake_is_told_in_few_words() -> None:
    assert mistake(KeyError("M1")) == "our own mistake: KeyError('M1')"
    assert len(mistake(ValueError("x" * 1000))) < 100
