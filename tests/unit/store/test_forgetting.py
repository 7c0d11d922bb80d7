import pytest

from dcu.model import Command, CommandState
from dcu.store import Store, forgetting
from tests.captures import SetClock
from tests.unit.store.test_retention import deliver

DAY = 86_400.0


async def ended(store: Store, name: str, command_id: str, **answer: object) -> None:
    await store.commands.accept(Command(command_id, name, meters=("M1",), args={"value": "x" * 1000}))
    await store.commands.change(command_id, CommandState.DONE, result=answer or None)


async def known(store: Store) -> list[str]:
    return [name for (name,) in await store.database.read("SELECT id FROM commands ORDER BY command")]


async def whole_round(store: Store, clock: SetClock, kept: float = 400 * DAY) -> None:
    await deliver(store, "result")
    for _ in range(3):
        await store.retention.prune(clock.time - kept, clock.time + 1)


async def test_reads_that_ended_long_ago_go_and_of_all_the_last_are_known(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        await store.commands.accept(Command(f"c{number}", "dcu.ping"))
        if number != 1:
            await store.commands.change(f"c{number}", CommandState.DONE)
        clock.time += 100.0
    await store.retention.prune(clock.time - 350.0, clock.time)
    assert await known(store) == [f"c{number}" for number in range(6)], "their results were not told yet"
    await whole_round(store, clock, 350.0)
    assert await known(store) == ["c1", "c3", "c4", "c5"]
    monkeypatch.setattr(forgetting, "JOURNAL_ROWS", 1)
    await whole_round(store, clock)
    assert await known(store) == ["c1", "c5"]


async def test_what_changed_something_is_forgotten_by_no_clock_and_for_no_reads(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock.time = clock.time, 1000.0  # it was never set
    await ended(store, "meter.execute", "relay")
    clock.time = now
    monkeypatch.setattr(forgetting, "JOURNAL_ROWS", 2)
    for number in range(5):
        await ended(store, "meter.read", f"read{number}")
        await store.commands.accept(Command(f"no{number}", "meter.execute", meters=("M1",)), "not allowed")
    clock.time += 1000 * DAY  # as a clock that runs ahead has it
    await whole_round(store, clock)
    assert await known(store) == ["relay"]
    _, new = await store.commands.accept(Command("relay", "meter.execute"))
    assert not new


async def test_of_what_changed_something_the_last_are_known(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "CHANGES_ROWS", 3)
    monkeypatch.setattr(forgetting, "SLICE", 2)
    for number in range(5):
        await ended(store, "meter.set", f"c{number}")
        await ended(store, "meter.read", f"r{number}")
    await deliver(store, "result")
    for _ in range(12):  # two rounds, the first counts
        await store.retention.prune(0.0, clock.time + 1)
    assert [name for name in await known(store) if name.startswith("c")] == ["c2", "c3", "c4"]


async def test_what_was_asked_and_answered_goes_and_how_it_ended_stays(store: Store, clock: SetClock) -> None:
    await ended(store, "meter.read", "long", rows=["x" * 1000])
    await ended(store, "meter.read", "late", rows=["x" * 1000])
    used = await store.database.read("SELECT sum(length(body) + length(answer)) FROM commands")
    await store.retention.prune(0.0, clock.time + 1)
    assert await store.database.read("SELECT sum(length(body) + length(answer)) FROM commands") == used, "not told yet"
    await whole_round(store, clock)
    [(left,)] = await store.database.read("SELECT sum(length(body) + length(answer)) FROM commands")
    assert left < used[0][0] / 4
    record, new = await store.commands.accept(Command("long", "meter.read"))
    assert not new
    assert (record.state, record.result, record.error) == (CommandState.DONE, None, None)
    assert record.command.meters == ("M1",)


@pytest.mark.parametrize("garbled", ["body = '{'", "state = 'dnoe'", "answer = ''"])
async def test_a_damaged_entry_stops_nothing_and_stays(store: Store, clock: SetClock, garbled: str) -> None:
    await ended(store, "meter.set", "damaged")
    await ended(store, "meter.read", "old")
    await store.database._writer.write(
        lambda database: database.execute(f"UPDATE commands SET {garbled} WHERE id = 'damaged'")
    )
    clock.time += 1000 * DAY
    await whole_round(store, clock)
    assert await known(store) == ["damaged"]
