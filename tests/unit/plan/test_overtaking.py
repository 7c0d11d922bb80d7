"""What waits for a line, and what stops a visit: patience, deadlines, and nothing that a stop would not help."""

import pytest

from dcu.errors import CommandRejected
from dcu.model import Priority
from dcu.plan import overtaking
from dcu.plan.needs import Need
from dcu.plan.overtaking import PATIENCE, Commands, presses, rest_of
from tests.plans import command


def test_commands_wait_in_the_order_of_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overtaking, "MAX_URGENT", 2)
    commands = Commands()
    assert not commands.cannot_wait(1e9, 1e9, 1.0)
    for meter in "AB":
        commands.put(command(meter), 0.0, 100.0)
    with pytest.raises(CommandRejected):
        commands.put(command("C"), 0.0, 100.0)
    assert (len(commands), commands.concern("B"), commands.concern("C")) == (2, True, False)
    assert [commands.take().meter, commands.take().meter] == ["A", "B"]


def test_the_first_waits_for_patience_and_each_until_its_deadline() -> None:
    commands = Commands()
    commands.put(command("A"), 10.0, 100.0)
    assert not commands.cannot_wait(10.0, 80.0, 1.0)
    assert commands.cannot_wait(10.0, 90.0, 1.0)
    assert commands.cannot_wait(10.0 + PATIENCE, 0.1, 1.0)


def test_a_visit_lasts_as_long_as_others_and_then_as_long_again() -> None:
    assert [rest_of(2.0, elapsed) for elapsed in (0.0, 1.5, 2.0, 5.0)] == [2.0, 0.5, 0.0, 3.0]


def test_only_what_is_more_urgent_and_not_late_presses() -> None:
    def pressing(priority: Priority, deadline: float) -> bool:
        return presses([Need(0.0, priority, deadline)], Priority.BILLING, 10.0, 5.0)

    assert pressing(Priority.EVENT, 12.0)
    assert not pressing(Priority.EVENT, 9.0)
    assert not pressing(Priority.EVENT, 16.0)
    assert not pressing(Priority.BILLING, 12.0)
