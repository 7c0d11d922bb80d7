"""The archive's own lines: checked with all that stand, kept, taken in, and what refuses them says where and why."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dcu.config.settings import Config
from dcu.enrolling.enrol import COMMAND, MAX_METERS, TOLD_SINGLY, Enrolment
from dcu.errors import CommandRejected
from dcu.health import Health
from dcu.messages import arguments
from dcu.model import Command, Keys, Meter
from dcu.polling.discovery import DISCOVERY
from dcu.profiles import CompanionProfile
from dcu.store import Station, Store
from tests.captures import SetClock
from tests.configurations import KEYS, good, parsed

T = TypeVar("T")

NEW = Meter("M7", "rs485-1", 40, "reader", "idis")


async def at_once(work: Callable[..., T], *args: object) -> T:
    """Do here what is otherwise done in another process."""
    return work(*args)


class Rooms:
    """Notes who comes and goes."""

    def __init__(self) -> None:
        self.there: dict[str, tuple[Meter, Keys]] = {}
        self.profiles = {"idis"}
        self.gone: list[tuple[str, str]] = []
        self.anew: list[tuple[str, int]] = []

    def knows_profile(self, name: str) -> bool:
        return name in self.profiles

    def take_in(self, meter: Meter, keys: Keys, profile: CompanionProfile | None) -> None:
        self.there[meter.id] = (meter, keys)
        if profile is not None:
            self.profiles.add(profile.name)

    async def let_go(self, meter: str, reason: str) -> None:
        del self.there[meter]
        self.gone.append((meter, reason))

    def begin_anew(self, meter: str, since: int) -> None:
        self.anew.append((meter, since))


class Bench:
    """An enrolment over a store of its own."""

    def __init__(self, config: Config, store: Store, clock: SetClock) -> None:
        self.config = config
        self.store = store
        self.clock = clock
        self.rooms = Rooms()
        self.health = Health()
        self.reported: list[tuple[str, str, Mapping[str, object]]] = []
        self.enrolment = Enrolment(config, store.lines, self.rooms, self._report, clock, self.health, at_once)

    async def _report(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.reported.append((name, meter, detail))

    async def do(self, name: str, **args: Any) -> dict[str, Any]:
        check = {"add": arguments.line, "replace": arguments.line, "import": arguments.table, "delete": arguments.names}
        normal = check.get(name, arguments.part)(args)
        return await self.enrolment.commands[f"archive.{name}"](Command("c", f"archive.{name}", args=normal))

    async def refusal(self, name: str, **args: Any) -> str:
        with pytest.raises(CommandRejected) as caught:
            await self.do(name, **args)
        return str(caught.value)

    def again(self, config: Config | None = None) -> "Bench":
        """Return what a restart makes of the same store."""
        return Bench(config or self.config, self.store, self.clock)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    keys = tmp_path / "keys.yaml"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    return parsed(good("keys: keys.yaml", f"keys: {keys}"), {str(keys): KEYS})


@pytest.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[Bench]:
    clock = SetClock()
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Bench(config, store, clock)


def line(meter: Meter = NEW, **other: object) -> dict[str, object]:
    words = {key: getattr(meter, key) for key in ("id", "bus", "address", "access", "profile")}
    return words | other


async def test_a_line_is_kept_taken_in_with_its_secrets_and_told(bench: Bench) -> None:
    assert await bench.do("add", **line()) == {"added": 1, "there": 0, "refused": 0, "problems": []}
    assert bench.rooms.there == {"M7": (NEW, Keys(b"secret"))}
    assert [each.meter for each in await bench.store.lines.added()] == [NEW]
    assert bench.reported == [("meter added", "M7", {"bus": "rs485-1", "address": 40, "origin": COMMAND})]


async def test_it_takes_part_again_after_a_restart(bench: Bench) -> None:
    await bench.do("add", **line())
    after = bench.again()
    await after.enrolment.load()
    assert after.rooms.there == bench.rooms.there
    assert (after.reported, after.health.archive) == ([], [])


async def test_the_same_line_twice_is_there_already(bench: Bench) -> None:
    await bench.do("add", **line())
    assert await bench.do("add", **line()) == {"added": 0, "there": 1, "refused": 0, "problems": []}
    assert len(bench.reported) == 1


@pytest.mark.parametrize(
    ("other", "where"),
    [
        ({"id": "M0001"}, "id: expected another than M0001, meters[0] of /etc/dcu/dcu.yaml, has"),
        ({"address": 17}, "address: expected another than M0001, meters[0] of /etc/dcu/dcu.yaml, has"),
        ({"id": "M8", "address": 40}, "address: expected another than M7, of the archive, added 20"),
        ({"id": "M8", "address": 41, "serial": "4711"}, "serial: expected another than M7, of the archive, added 20"),
        ({"address": 41}, "id: expected another than M7, of the archive, added 20"),
    ],
)
async def test_what_is_there_already_is_refused_with_its_place(bench: Bench, other: Any, where: str) -> None:
    await bench.do("add", **line(serial="4711"))
    assert where in await bench.refusal("add", **(line() | other))
    assert list(bench.rooms.there) == ["M7"]


async def test_a_missing_secret_refuses_a_line_until_the_file_has_it(bench: Bench, config: Config) -> None:
    ciphered = line(access="management")
    assert "has no encryption_key for M7: access 'management' needs it" in await bench.refusal("add", **ciphered)
    assert config.keys_file is not None
    Path(config.keys_file).write_text(KEYS.replace("M0002", "M7"))
    await bench.do("add", **ciphered)
    assert bench.rooms.there["M7"][1].encryption_key == bytes(range(16))


def rows(*numbers: int, bad: tuple[int, ...] = ()) -> dict[str, Any]:
    return {
        "columns": ["id", "bus", "address", "access", "profile"],
        "rows": [[f"N{n}", "rs485-9" if n in bad else "rs485-1", 100 + n, "reader", "idis"] for n in numbers],
        "lines": [n + 2 for n in numbers],
        "file": "meters.csv",
    }


async def test_an_import_is_all_or_nothing(bench: Bench) -> None:
    said = await bench.refusal("import", **rows(0, 1, 2, bad=(1,)))
    assert said.splitlines() == [
        "1 of 3 lines are wrong, nothing was added",
        "meters.csv:3: bus: expected one of gateway, rs485-1, got 'rs485-9'",
    ]
    assert (bench.rooms.there, await bench.store.lines.added()) == ({}, [])
    assert (await bench.do("import", **rows(0, 1, 2)))["added"] == 3
    assert (await bench.do("import", **rows(0, 1, 2, 3)))["there"] == 3


async def test_the_good_ones_are_taken_where_that_is_wanted(bench: Bench) -> None:
    result = await bench.do("import", **rows(0, 1, 2, bad=(1,)), partial=True)
    assert (result["added"], result["refused"], len(result["problems"])) == (2, 1, 1)
    assert list(bench.rooms.there) == ["N0", "N2"]


async def test_many_at_once_are_told_as_a_number(bench: Bench) -> None:
    await bench.do("import", **rows(*range(TOLD_SINGLY + 1)))
    assert bench.reported == [("meter added", "", {"count": TOLD_SINGLY + 1, "origin": COMMAND})]


async def test_a_unit_serves_so_many_meters(bench: Bench) -> None:
    await bench.do("import", **rows(*range(MAX_METERS - 2)))
    assert await bench.refusal("add", **line(address=5000)) == (
        "1025 meters would be in the archive: expected at most 1024"
    )


async def test_a_deleted_meter_is_let_go_with_a_word_for_its_commands(bench: Bench) -> None:
    await bench.do("add", **line())
    assert await bench.do("delete", ids=["M7"]) == {"deleted": ["M7"]}
    assert bench.rooms.gone == [("M7", "the meter was deleted from the archive")]
    assert await bench.store.lines.added() == []
    assert await bench.refusal("delete", ids=["M7"]) == "no such meter: M7"


async def test_the_operators_lines_are_not_for_commands(bench: Bench) -> None:
    for name, args in (("delete", {"ids": ["M0001"]}), ("replace", line(id="M0001"))):
        refused = await bench.refusal(name, **args)
        assert refused == "M0001 is meters[0] of /etc/dcu/dcu.yaml: it is changed there, by the operator"


async def test_one_that_may_not_be_deleted_keeps_all(bench: Bench) -> None:
    await bench.do("add", **line())
    await bench.refusal("delete", ids=["M7", "M0001"])
    assert list(bench.rooms.there) == ["M7"]


async def test_another_meter_under_the_same_name_begins_anew(bench: Bench) -> None:
    await bench.do("add", **line(serial="4711"))
    assert await bench.do("replace", **line(serial="4712", address=50)) == {"replaced": "M7"}
    since = int(bench.clock.time)
    assert bench.rooms.gone == [("M7", "another meter was put in its place")]
    assert bench.rooms.anew == [("M7", since)]
    assert bench.rooms.there["M7"][0].serial == "4712"
    name, meter, detail = bench.reported[-1]
    assert (name, meter) == ("meter exchanged", "M7")
    assert (detail["before"], detail["after"]) == (line(serial="4711"), line(serial="4712", address=50))
    # the same once more, as after a crash, changes nothing
    await bench.do("replace", **line(serial="4712", address=50))
    assert len(bench.rooms.anew) == 1


async def test_another_meter_has_what_belongs_to_its_place(tmp_path: Path, config: Config) -> None:
    assert config.keys_file is not None
    text = (
        good("keys: keys.yaml", f"keys: {config.keys_file}") + "groups: {street: {timetable: {instant: {every: 1h}}}}\n"
    )
    grouped = parsed(text, {config.keys_file: KEYS})
    clock = SetClock()
    async with Store.open(tmp_path / "other.db", clock) as store:
        bench = Bench(grouped, store, clock)
        await bench.do("add", **line(serial="4711", group="street", logical_device=2))
        await bench.do("replace", **line(address=50))
        assert bench.rooms.there["M7"][0] == replace(NEW, address=50, group="street", logical_device=2)
        await bench.do("replace", **line(address=51, group="", logical_device=1))
        assert bench.rooms.there["M7"][0] == replace(NEW, address=51)


async def test_a_replacement_is_judged_as_a_new_line_is(bench: Bench) -> None:
    await bench.do("add", **line())
    assert "address: expected another than M0001, meters[0]" in await bench.refusal("replace", **line(address=17))
    assert await bench.refusal("replace", **line(id="M9")) == "no such meter: M9"


async def test_no_meter_is_replaced_while_the_clock_is_not_trusted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.do("add", **line())
    monkeypatch.setattr(bench.clock, "trusted", lambda: False)
    assert "the clock is not trusted" in await bench.refusal("replace", **line(address=50))


async def test_the_list_shows_all_and_where_they_stand(bench: Bench) -> None:
    await bench.do("add", **line())
    listed = await bench.do("list")
    assert [each["id"] for each in listed["meters"]] == ["M0001", "M0002", "M7"]
    assert listed["meters"][0]["where"] == "meters[0] of /etc/dcu/dcu.yaml"
    assert listed["meters"][2]["origin"] == COMMAND
    part = await bench.do("list", **{"from": 1, "count": 1})
    assert ([each["id"] for each in part["meters"]], part["total"]) == (["M0002"], 3)


async def test_what_is_exported_can_be_imported(bench: Bench, config: Config, tmp_path: Path) -> None:
    await bench.do("import", **rows(0, 1))
    await bench.do("add", **line(serial="0017", logical_device=2))
    exported = await bench.do("export", **{"from": 2})
    assert exported["total"] == 5
    async with Store.open(tmp_path / "other.db", bench.clock) as store:
        other = Bench(config, store, bench.clock)
        await other.do("import", columns=list(exported["columns"]), rows=[list(row) for row in exported["rows"]])
        assert other.rooms.there == bench.rooms.there


async def test_an_export_imported_where_it_was_made_is_there_already(bench: Bench, config: Config) -> None:
    await bench.do("import", **rows(0, 1))
    exported = await bench.do("export")
    assert exported["total"] == 4  # two are the operator's
    table = {"columns": list(exported["columns"]), "rows": [list(row) for row in exported["rows"]]}
    assert (await bench.do("import", **table)) == {"added": 0, "there": 4, "refused": 0, "problems": []}
    table["rows"].append([*["M9", "rs485-9", "77", "reader", "idis"], *[""] * (len(table["columns"]) - 5)])
    assert (await bench.refusal("import", **table)).startswith("1 of 5 lines are wrong, nothing was added")


async def test_no_answer_gives_secrets_away(bench: Bench) -> None:
    answers = [await bench.do("add", **line()), await bench.do("list"), await bench.do("export")]
    assert "secret" not in str(answers + bench.reported)


async def test_a_line_that_agrees_no_more_takes_no_part_and_says_why(bench: Bench) -> None:
    await bench.do("add", **line())
    await bench.do("add", **line(id="M8", address=41))
    operator = parsed(good("id: M0001", "id: M7"))
    after = bench.again(operator)
    await after.enrolment.load()
    assert list(after.rooms.there) == []  # and without its file of keys, M8 does not either
    assert len(after.health.archive) == 2
    assert "M7 takes no part" in after.health.archive[0]
    listed = (await after.do("list"))["meters"]
    assert "problem" in listed[-1]
    await after.do("delete", ids=["M8"])
    assert len(after.health.archive) == 1


async def test_a_line_in_the_way_of_the_operators_is_told_by_its_own_fault(bench: Bench, config: Config) -> None:
    await bench.do("add", **line())
    await bench.do("add", **line(id="M8", address=41))
    assert config.keys_file is not None
    text = good("keys: keys.yaml", f"keys: {config.keys_file}").replace("id: M0001", "id: M8")
    after = bench.again(parsed(text, {config.keys_file: KEYS}))
    await after.enrolment.load()
    assert list(after.rooms.there) == ["M7"]
    (problem,) = after.health.archive
    assert "M8 takes no part: archive:2: id: expected another than M8, meters[0] of" in problem


async def test_a_profile_that_is_new_comes_with_its_first_meter(bench: Bench) -> None:
    await bench.do("add", **line(profile="dsmr"))
    assert bench.rooms.profiles == {"idis", "dsmr"}


async def test_stations_are_shown_until_they_have_a_name(bench: Bench) -> None:
    await bench.store.lines.meet(Station("rs485-1", 40, {"serial": "1"}, 5.0))
    await bench.store.lines.meet(Station("rs485-1", 17, {}, 5.0))
    found = await bench.do("found")
    assert found["found"] == [{"bus": "rs485-1", "address": 40, "at": "1970-01-01T00:00:05Z", "serial": "1"}]
    await bench.enrolment.enrol([NEW], DISCOVERY)
    assert (await bench.do("found"))["found"] == []


async def test_discovery_hears_why_a_line_cannot_be_added(bench: Bench) -> None:
    with pytest.raises(CommandRejected, match="meters\\[0\\]"):
        await bench.enrolment.enrol([Meter("M0001", "rs485-1", 44, "reader", "idis")], DISCOVERY)
