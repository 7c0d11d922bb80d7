"""What is told of the audit: its head, its entries, and whether it is whole."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcu.model import Command, CommandState
from dcu.store import Store
from dcu.watching.auditing import head, shown, verified
from tests.captures import SetClock

ALL = Command("q", "dcu.audit", args={"from": 1, "count": 50})
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "mqtt.md").read_text(encoding="utf-8")
(RECIPE,) = re.findall(r"<!-- audit: recipe -->\n```python\n(.*?)```", PAGE, re.DOTALL)
(EXAMPLE,) = re.findall(r"<!-- audit: entries -->\n```json\n(.*?)```", PAGE, re.DOTALL)


def followed(entries: list[dict[str, Any]]) -> str:
    """Return what the recipe of the page says of `entries`."""
    found = subprocess.run(
        [sys.executable, "-c", RECIPE],
        input=json.dumps(entries),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return (found.stdout + found.stderr).strip()


async def test_head_entries_and_verdict_agree(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db", SetClock()) as store:
        assert head(store.audit) is None
        await store.audit.newest()
        assert head(store.audit) == {"entry": 0, "hash": "00" * 32}
        for name in "ab":
            await store.commands.accept(Command(name, "meter.read", ("M1",)))
            await store.commands.change(name, CommandState.DONE)
        told = await shown(store.audit, Command("q", "dcu.audit", args={"from": 2, "count": 50}))
        (entry,) = told["entries"]
        assert (entry["entry"], entry["who"], entry["command"], entry["outcome"]) == (2, "mqtt", "b", "done")
        assert entry["at"] == "2027-01-15T08:00:00.250Z"
        assert told["head"] == head(store.audit) == {"entry": 2, "hash": entry["hash"]}
        assert await verified(store.audit) == {"first": 1, "last": 2, "head": entry["hash"]}
        await store.database.write(lambda database: database.execute("UPDATE audit SET who = 'nobody' WHERE entry = 1"))
        assert (await verified(store.audit))["problem"] == "entry 1 was changed"


def test_the_recipe_of_the_page_finds_its_example_sound() -> None:
    entries = json.loads(EXAMPLE)
    assert followed(entries) == f"head {entries[-1]['hash']}"


async def test_the_recipe_of_the_page_holds_for_what_is_told(tmp_path: Path) -> None:
    """An old chain that went on, with texts as they come and a moment that has more digits than are told."""
    path, clock = tmp_path / "store.db", SetClock()
    path.write_bytes((ROOT / "tests" / "databases" / "schema6.db").read_bytes())
    async with Store.open(path, clock) as store:
        old = (await store.audit.verify()).last
        clock.time += 31.123456
        await store.commands.accept(Command("x", "dcu.ping"), rejected='\x00 \x7f "ä" \\ \U0001f50c')
        clock.time = 1_800_000_100.0
        await store.commands.accept(Command("y", "meter.read", ("Mß",)), rejected="no such meter: Mß")
        entries: list[dict[str, Any]] = [*(await shown(store.audit, ALL))["entries"]]
        assert [("seconds" in each) for each in entries] == [True] * old + [False] * 2
        assert followed(entries) == f"head {(await store.audit.newest())[1].hex()}"


@pytest.mark.parametrize("key", ["at", "who", "command", "what", "outcome", "before"])
def test_the_recipe_of_the_page_finds_what_was_changed(key: str) -> None:
    entries = json.loads(EXAMPLE)
    entries[1][key] = entries[1][key].translate(str.maketrans("0123dm", "1234en"))
    assert followed(entries) == "entry 2 is not as it was written"
