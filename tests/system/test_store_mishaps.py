"""A daemon whose database is deleted, damaged or full goes on by itself; its files hold no secret in the clear."""

import asyncio
import base64
import random
from pathlib import Path

from dcu.clock import SystemClock
from dcu.model import Capture
from dcu.store import Store
from sim.fleet import FleetPlan
from sim.stage import Setting, Stage
from tests.captures import capture
from tests.system.playing import FAST, Play

TIMETABLE = {"instant": (10, 0), "load0": (900, 3600)}

PLAN = FleetPlan(meters=3, buses=1, baud=FAST, hls=256)

#: Seconds until the daemon must have noticed.
PATIENCE = 60.0

#: The smallest there can be.
BUDGET = 16_000_000

#: When what fills it was captured: not so long ago that it has to go for its age.
SINCE = int(SystemClock().now()) - 3 * 86_400


async def until(stage: Stage, word: str) -> None:
    """Return when the daemon has said `word`."""
    for _ in range(round(PATIENCE / 0.1)):
        if word in stage.daemon.said():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{word} was not said: {stage.daemon.said()[-2000:]}")


async def works(stage: Stage) -> None:
    """Return when the daemon answers and reads."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                found = await stage.daemon.status()
            except (OSError, ValueError):
                found = {}
            if found.get("buses") and all(bus["captures"] for bus in found["buses"].values()):
                return
            await asyncio.sleep(0.2)


async def starts(stage: Stage) -> int:
    """Return how often the daemon began, by the days that it keeps; 0 while it does not answer."""
    try:
        answer = await stage.daemon.ask("dcu.history")
    except (OSError, ValueError):
        return 0
    return sum(day["starts"] for day in (answer.get("result") or {}).get("days", ()))


def test_a_database_deleted_under_the_daemon_is_written_anew_and_nothing_is_missing(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        path = stage.directory / "data" / "store.db"
        await stage.daemon.start()
        await works(stage)
        before = (await stage.daemon.status())["store"]["streams"]
        path.unlink()
        await until(stage, "store lost")
        await works(stage)
        after = (await stage.daemon.status())["store"]["streams"]
        assert path.exists()
        assert all(after[stream]["next_seq"] >= before[stream]["next_seq"] for stream in before)
        assert not list(path.parent.glob("*.damaged-*"))
        async with asyncio.timeout(PATIENCE):  # the health of the day tells of it
            while await starts(stage) < 2:  # noqa: ASYNC110 - the daemon tells nobody
                await asyncio.sleep(0.1)
        await stage.daemon.stop()

    play(scenario, Setting(PLAN, TIMETABLE))


def test_a_database_damaged_between_two_runs_is_set_aside(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        path = stage.directory / "data" / "store.db"
        await stage.daemon.start()
        await works(stage)
        before = (await stage.daemon.status())["store"]["streams"]
        await stage.daemon.stop()
        path.write_bytes(b"\xff" * 16 + path.read_bytes()[16:])
        await stage.daemon.start()
        await until(stage, "store damaged")
        await works(stage)
        after = (await stage.daemon.status())["store"]["streams"]
        assert all(after[stream]["next_seq"] > before[stream]["next_seq"] for stream in before)
        assert len(list(path.parent.glob("*.damaged-*Z"))) == 1
        await stage.daemon.stop()

    play(scenario, Setting(PLAN, TIMETABLE))


async def fill(path: Path) -> int:
    """Fill a store nearly to the end of BUDGET with rows nobody has acknowledged; return how many there are."""
    rows = 0
    async with Store.open(path, SystemClock()) as store:
        while await store.retention.used() < 0.97 * BUDGET:
            visits = [[bulky(rows + 256 * visit + row) for row in range(256)] for visit in range(8)]
            await asyncio.gather(*(store.readings.record(visit, {}) for visit in visits))
            rows += 256 * 8
    return rows


def bulky(number: int) -> Capture:
    """Return a row that does not become small."""
    return capture(SINCE + number, "M0001", "load1", (random.Random(number).randbytes(1000).hex(),))


def test_what_there_is_no_room_for_goes_and_the_head_end_is_told_when_it_is_there_again(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.config.write_text(stage.config.read_text() + f"store: {{budget: {BUDGET // 1_000_000}MB}}\n")
        path = stage.directory / "data" / "store.db"
        path.parent.mkdir(exist_ok=True)
        rows = await fill(path)
        await stage.broker.stop()
        await stage.daemon.start()
        await works(stage)
        await until(stage, "captures went for want of room")
        held = (await stage.daemon.ask("dcu.storage"))["result"]
        lost = held["streams"]["load1"]["dropped"]
        assert held["share"] < 0.95
        assert 0 < lost == rows - held["streams"]["load1"]["captures"]
        await stage.broker.start()
        await stage.head.until(lambda: bool(stage.head.tally.dropped))
        [word] = stage.head.tally.dropped
        assert (word["reason"], word["count"]) == ("storage", lost)
        await stage.head.until(lambda: "store filling" in {each.event for each in stage.head.tally.events})
        await stage.head.until(lambda: ("M0001", "load1", SINCE + lost) in stage.head.tally.captures)
        assert not [at for _, stream, at in stage.head.tally.captures if stream == "load1" and at < SINCE + lost]
        assert stage.head.tally.holes() == {}
        await stage.daemon.stop()

    play(scenario, Setting(PLAN, TIMETABLE))


def forms(secret: bytes) -> set[bytes]:
    """Return how a secret might stand in a file."""
    shown = secret.hex().encode()
    return {secret, shown, shown.upper(), base64.b64encode(secret).rstrip(b"=")}


def written(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_no_secret_stands_in_any_file_of_the_store_or_in_the_log(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        text = stage.config.read_text().replace("socket: dcu.sock", "socket: dcu.sock, allow: [viewer, secadm]")
        stage.config.write_text(text + "new_keys: new.yaml\n")
        new = [bytes((number, 7) * 8) for number in (1, 2)]
        path = stage.directory / "new.yaml"
        path.touch(0o600)
        path.write_text(f"default: {{encryption_key: {new[0].hex()}, authentication_key: {new[1].hex()}}}\n")
        secrets = set(new)
        for meter in stage.fleet.meters:
            keys = meter.plate.keys
            found = (keys.encryption_key, keys.authentication_key, keys.master_key, keys.password)
            secrets |= {secret for secret in found if len(secret) >= 6}
        await stage.daemon.start()
        await works(stage)
        answer = await stage.daemon.ask("meter.change-keys", targets={"meters": ["M0001"]})
        assert answer["state"] == "done", answer["error"]
        files = written(stage.directory / "data")
        await stage.daemon.kill()
        files |= {f"{name} after": content for name, content in written(stage.directory / "data").items()}
        files["log"] = stage.daemon.said().encode()
        assert {"store.db", "store.db-wal", "store.spare"} <= files.keys()
        assert b"M0001" in files["store.spare"]
        places = [
            (name, form) for name, content in files.items() for s in secrets for form in forms(s) if form in content
        ]
        assert places == []

    play(scenario, Setting(PLAN, TIMETABLE))
