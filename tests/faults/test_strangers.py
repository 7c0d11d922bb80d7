"""A station that answers the search of a whole daemon, which has no secrets for it, or some that do not fit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.collecting import Collecting, Setup, play
from dcu.config import Config
from dcu.config.settings import DiscoverSettings
from dcu.host.configuration import load
from dcu.model import Keys
from sim.fleet import FleetPlan
from sim.server import MANAGEMENT

ORIGIN = 1_790_000_105.0


@pytest.mark.parametrize(
    ("default", "problem"),
    [
        (Keys(), "the keys file has no default keys for the access management"),
        (
            Keys(encryption_key=bytes(7), authentication_key=bytes(16)),
            "security suite 0 needs an encryption and an authentication key of 16 octets",
        ),
    ],
)
def test_a_stranger_for_whom_there_are_no_secrets_costs_nobody_anything_but_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default: Keys, problem: str
) -> None:
    """Two meters are on the line, one of them in the configuration."""

    def lacking(path: Path, streams: Callable[[str | None], Mapping[str, frozenset[str]]]) -> Config:
        config = load(path, streams)
        search = DiscoverSettings((range(17, 20),), MANAGEMENT.name, add=True, profile="idis")
        buses = tuple(replace(bus, discover=search) for bus in config.buses)
        return replace(config, buses=buses, meters=config.meters[:1], keys={**config.keys, "": default})

    async def scenario(site: Collecting) -> None:
        await site.collect(1200.0)
        (poll,) = site.polls.values()
        (found,) = (await site.ask("archive.found"))["found"]
        assert (found["address"], found["problem"]) == (18, problem)
        assert (poll.health.ok, poll.health.probing) == (poll.health.visits, 0)
        assert poll.health.ok >= 4
        assert len(poll.plan) == 1
        assert poll.health.error is None

    monkeypatch.setattr("bench.collecting.load", lacking)
    play(Setup(FleetPlan(meters=2, buses=1, hls=256), {"instant": {"every": "5m"}}), tmp_path, scenario, origin=ORIGIN)
