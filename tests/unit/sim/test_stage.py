"""What a stage promises: when a daemon has settled, what was due of it, and files that the daemon accepts."""

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from dcu.host.configuration import load
from dcu.model import INSTANT
from dcu.profiles import load_profile, stream_names
from sim.account import Due
from sim.broker import Broker, mosquitto
from sim.fleet import PROFILE, Fleet, FleetPlan
from sim.headend import HeadEnd
from sim.process import DaemonProcess
from sim.stage import OFFSET, Setting, Stage, Timetable, dues, set_stage, settled
from tests.captures import SetClock

TIMETABLE: Timetable = {"instant": (20, 0), "load0": (900, 7200), "billing": (86_400, 40 * 86_400)}
PLAN = FleetPlan(meters=3, buses=2, tcp_meters=1)

EVEN: dict[str, Any] = {
    "buses": {"a": {"due": 0, "urgent": 0, "visits": 3}, "b": {"due": 0, "urgent": 0, "visits": 0}},
    "store": {"streams": {"load0": {"pending": 0}}},
    "uplink": {"connected": True},
}


def test_a_daemon_with_nothing_to_do_has_settled() -> None:
    assert settled(EVEN)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("buses", "b", "due"), 1),
        (("buses", "a", "urgent"), 1),
        (("buses", "a", "visits"), 0),
        (("store", "streams", "load0", "pending"), 2),
        (("uplink", "connected"), False),
    ],
    ids=["a meter is due", "a command waits", "nothing was read yet", "rows are unsent", "the broker is away"],
)
def test_a_daemon_with_something_left_has_not(path: tuple[str, ...], value: object) -> None:
    status = deepcopy(EVEN)
    held = status
    for key in path[:-1]:
        held = held[key]
    held[path[-1]] = value
    assert not settled(status)


class Quiet:
    """A daemon that says one status after the other."""

    def __init__(self, *said: dict[str, Any]) -> None:
        self.said = list(said)

    async def status(self) -> dict[str, Any]:
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]


def make_stage(clock: SetClock, began: float = 0.0, daemon: object = None) -> Stage:
    nobody: Any = None
    return Stage(
        Setting(PLAN, TIMETABLE, clock),
        Path(),
        cast("Broker", nobody),
        Fleet(PLAN, clock),
        cast("HeadEnd", nobody),
        cast("DaemonProcess", daemon),
        Path(),
        began,
    )


async def test_it_waits_until_the_daemon_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.stage.LOOK", 0.0)
    waiting = EVEN | {"uplink": {"connected": False}}
    daemon = Quiet(waiting, waiting, EVEN)
    assert await make_stage(SetClock(5000.0), daemon=daemon).settled() == 5000.0
    assert daemon.said == [EVEN]


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.stage.LOOK", 0.0)
    with pytest.raises(TimeoutError):
        await make_stage(SetClock(), daemon=Quiet(EVEN | {"uplink": {"connected": False}})).settled(0.01)


def test_what_is_due_ends_with_the_last_boundary_that_was_asked_for() -> None:
    streams = load_profile(PROFILE).streams
    quarter = 1_790_000_100 // 900 * 900
    end = quarter + 100.5
    began = quarter - 50.0
    assert dues(TIMETABLE, began, end) == [
        Due(INSTANT, quarter - 50, quarter + 100, every=20),
        Due("load0", quarter + 100 - 7200, quarter, streams["load0"].name),
        Due("billing", quarter + 100 - 40 * 86_400, quarter // 86_400 * 86_400, streams["billing"].name),
    ]
    # a boundary that the offset has not passed is nobody's fault yet
    assert dues(TIMETABLE, began, quarter + OFFSET - 1)[1].end == quarter - 900
    assert dues(TIMETABLE, began, quarter + OFFSET)[1].end == quarter


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_a_set_stage_has_everything_but_a_running_daemon(tmp_path: Path) -> None:
    async with set_stage(Setting(PLAN, TIMETABLE), tmp_path) as stage:
        config = load(stage.config, stream_names)
        assert {bus.name for bus in config.buses} == {"rs485-1", "rs485-2", "gateway-1"}
        tasks = {task.stream: task for task in config.timetable}
        assert (tasks["instant"].every, tasks["instant"].offset) == (20.0, 0.0)
        assert (tasks["load0"].every, tasks["load0"].offset, tasks["load0"].backfill) == (900.0, OFFSET, 7200.0)
        assert (config.uplink.port, config.dcu.socket) == (stage.broker.port, str(tmp_path / "dcu.sock"))
        assert stage.delivered() == 0
        with pytest.raises(OSError, match="No such file"):
            await stage.daemon.status()
    with pytest.raises(OSError, match="No such file"):
        await stage.daemon.status()
