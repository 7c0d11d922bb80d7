"""What is told of the meters' clocks: offset, drift and the last move of those that are in the archive."""

from dcu.clock import DAY
from dcu.model import Command
from dcu.store import Adjustment, Store
from dcu.watching.drifts import Drifts
from tests.captures import SetClock


async def test_clocks_are_told_in_parts_by_name(tmp_path: object) -> None:
    async with Store.open(f"{tmp_path}/store.db", SetClock()) as store:
        for meter, gains in (("M2", 0.5), ("M1", -1.0), ("gone", 9.0)):
            for day in range(4):
                await store.clocks.shows(meter, DAY * day, 3.0 + gains * day)
        await store.clocks.shows("M3", 50, 7.25)
        await store.clocks.adjust_begins("M2", Adjustment(DAY, 4.0, -4, "shift"))
        await store.clocks.adjust_ends("M2", -4.0)
        await store.clocks.adjust_begins("M3", Adjustment(60, 7.0, -7, "set"))
        tell = Drifts(store.clocks, {"M1", "M2", "M3"}).commands["dcu.clocks"]

        def part(first: int, count: int) -> Command:
            return Command("c", "dcu.clocks", args={"from": first, "count": count})

        assert await tell(part(0, 2)) == {
            "clocks": [
                {"meter": "M1", "at": "1970-01-04T00:00:00Z", "offset": 0.0, "drift": -1.0, "moved": None},
                # the drift is the crystal's, whatever the clock was moved by
                {
                    "meter": "M2",
                    "at": "1970-01-04T00:00:00Z",
                    "offset": 0.5,
                    "drift": 0.5,
                    "moved": "1970-01-02T00:00:00Z",
                },
            ],
            "total": 3,
        }
        (third,) = (await tell(part(2, 5)))["clocks"]
        assert (third["meter"], third["drift"], third["moved"]) == ("M3", None, None)
