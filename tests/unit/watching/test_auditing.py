"""What is told of the audit: its head, its entries, and whether it is whole."""

from pathlib import Path

from dcu.model import Command, CommandState
from dcu.store import Store
from dcu.watching.auditing import head, shown, verified
from tests.captures import SetClock


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
