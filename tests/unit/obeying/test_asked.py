"""Who asks about a meter or a stream that is not there is told so; what is there, or was, is asked about as before."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dcu.archive import Archive, Kept
from dcu.errors import CommandRejected
from dcu.messages.catalogue import CATALOGUE
from dcu.model import DCU_EVENTS, PUSH, Command, Meter, Task
from dcu.obeying.asked import refuse_unknown
from dcu.profiles import load_profile
from dcu.store import Store
from tests.captures import SetClock, capture
from tests.lines import COMPANION

QUESTIONS = ("dcu.gaps", "dcu.keys", "dcu.ledger", "dcu.readings", "dcu.reconcile")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "store.db", SetClock()) as opened:
        yield opened


def archive(store: Store) -> Archive:
    return Archive(
        [Meter("M1", "a", 17, "reader", "idis")], {"idis": COMPANION}, {}, store.descriptors, store.ledger, Kept()
    )


async def refusal(asked: Command, there: Archive, store: Store) -> str | None:
    """Return why a question is refused, None when it is let through."""
    try:
        await refuse_unknown(asked, there, store)
    except CommandRejected as rejection:
        return rejection.reason
    return None


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_meter_that_nobody_knows_is_named(store: Store, name: str) -> None:
    assert await refusal(Command("c", name, args={"meter": "M7"}), archive(store), store) == "no such meter: M7"
    assert await refusal(Command("c", name, args={"meter": "M1"}), archive(store), store) is None


async def test_a_stream_that_nobody_knows_is_named_beside_those_there_are(store: Store) -> None:
    asked = Command("c", "dcu.gaps", args={"stream": "lod0"})
    with pytest.raises(CommandRejected, match=r"no such stream: lod0; there are .*instant.* load0"):
        await refuse_unknown(asked, archive(store), store)
    for stream in ("instant", "load0"):
        assert await refusal(Command("c", "dcu.gaps", args={"stream": stream}), archive(store), store) is None


@pytest.mark.parametrize("profile", ["idis", "generic"])
@pytest.mark.parametrize("name", QUESTIONS)
async def test_what_a_timetable_may_name_is_asked_about_before_anything_came_of_it(
    store: Store, profile: str, name: str
) -> None:
    follows, own = load_profile(profile), Task("voltages", every=60.0, objects=(COMPANION.clock,))
    meters = [Meter("M1", "a", 17, "reader", profile)]
    there = Archive(meters, {profile: follows}, {"": [], "north": [own]}, store.descriptors, store.ledger, Kept())
    for stream in {*follows.stream_names, own.stream, DCU_EVENTS, PUSH}:
        assert await refusal(Command("c", name, args={"meter": "M1", "stream": stream}), there, store) is None
    with pytest.raises(CommandRejected, match="no such stream: lod0"):
        await refuse_unknown(Command("c", name, args={"stream": "lod0"}), there, store)


async def test_what_a_deleted_meter_and_another_profile_left_is_asked_about(store: Store) -> None:
    await store.readings.record([capture(900, "gone", stream="strange")], {})
    asked = Command("c", "dcu.readings", args={"meter": "gone", "stream": "strange"})
    assert await refusal(asked, archive(store), store) is None


def resend(**args: object) -> Command:
    """Return the command as it is handed over: checked, with what was left out."""
    return Command("c", "dcu.resend", args=CATALOGUE["dcu.resend"].check(args))


async def test_what_a_head_end_missed_is_asked_for_by_any_name(store: Store) -> None:
    """Of a stream that was lost with the store it has to hear that there are no blocks: it waits for them."""
    assert await refusal(resend(stream="lod0", from_seq=5, to_seq=9), archive(store), store) is None


@pytest.mark.parametrize("span", [{"from_seq": 5}, {"to_seq": 5}, {"from": 0, "to": 900}])
async def test_whoever_has_not_heard_of_the_blocks_is_told_that_there_is_no_such_stream(
    store: Store, span: dict[str, object]
) -> None:
    said = await refusal(resend(stream="lod0", **span), archive(store), store)
    assert (said or "").startswith("no such stream: lod0; there are ")
    for stream in ("load0", "result", "event.dcu"):
        assert await refusal(resend(stream=stream, **span), archive(store), store) is None


async def test_commands_that_make_names_are_let_through(store: Store) -> None:
    assert await refusal(Command("c", "archive.add", args={"meter": "M7"}), archive(store), store) is None
