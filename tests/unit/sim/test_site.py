"""The files of a site must satisfy the daemon's own checks: they are what an operator would write."""

import stat
from pathlib import Path

from dcu.clock import SystemClock
from dcu.host.configuration import load
from dcu.profiles import stream_names
from sim.fleet import Fleet, FleetPlan
from sim.site import TIMETABLE, Site, write_site


async def test_the_daemon_accepts_it_and_reads_the_same_archive(tmp_path: Path) -> None:
    plan = FleetPlan(meters=60, buses=2, baud=19200, tcp_meters=10, old=64)
    async with Fleet(plan, SystemClock()) as fleet:
        path = write_site(
            fleet, Site(dcu="DCU-7", port=18830, uplink={"window": 5}, bus={"timeout": "500ms"}), tmp_path
        )
        config = load(path, stream_names)
        assert sorted(config.meters, key=lambda meter: meter.id) == sorted(fleet.archive, key=lambda meter: meter.id)
        assert config.keys == fleet.keys
        assert config.access == fleet.access
        assert len({meter.access for meter in config.meters}) == 3
        assert [(bus.name, bus.port, bus.baud) for bus in config.buses] == [
            (bus.name, bus.path, 19200) for bus in fleet.buses
        ]
        assert [bus.timeout for bus in config.buses] == [0.5] * 3
        assert (config.dcu.id, config.uplink.port, config.uplink.window) == ("DCU-7", 18830, 5)
        assert {task.stream for task in config.timetable} == set(TIMETABLE)


async def test_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    async with Fleet(FleetPlan(meters=2, buses=1), SystemClock()) as fleet:
        (tmp_path / "keys.yaml").touch(0o644)
        path = write_site(fleet, Site(), tmp_path)
    assert stat.S_IMODE((tmp_path / "keys.yaml").stat().st_mode) == 0o600
    assert not any(meter.plate.keys.password.decode() in path.read_text() for meter in fleet.meters)
