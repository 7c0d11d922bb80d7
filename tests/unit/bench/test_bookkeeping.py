"""Whether the books are right is told from who was silent; of another silence each of them says otherwise."""

from pathlib import Path

from bench.bookkeeping import contradictions
from bench.collecting import Collecting, play, setup_of
from sim.fleet import FleetPlan


def test_books_contradict_who_was_not_silent_and_nobody_else(tmp_path: Path) -> None:
    async def scenario(site: Collecting) -> None:
        site.fleet.silence("M0002")
        await site.collect(3600.0)
        assert await contradictions(site, "load0", ("M0002",), {}) == []
        said = "\n".join(await contradictions(site, "load0", ("M0003", "M0004"), {"M0001": 1800.0}))
        for words in (
            "read of load0: 9, truly 6",
            "open of load0: 3, truly 6",
            "gap that is none: {'meter': 'M0002'",
            "M0003: no gap",
            "M0001: available for 60 minutes, truly 30",
            "M0002: unreachable after 0 s of silence",
            "M0002: last read None",
            "M0004: reachable after 3600 s of silence",
        ):
            assert words in said, said

    play(setup_of(FleetPlan(meters=4, buses=1), {"load0": (900, 3600)}), tmp_path, scenario, origin=1_790_000_100.0)
