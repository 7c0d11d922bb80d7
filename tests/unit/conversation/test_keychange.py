"""Which secrets a meter may have at any moment of a change, after any restart, and what decides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcu.conversation.keychange import RULES, KeyChanges, State, kinds_of
from dcu.errors import ConfigError, MeterError
from dcu.model import Access, Authentication, Keys
from dcu.store import Store, Vault
from tests.captures import SetClock

FILE = Keys(b"old", b"e" * 16, b"a" * 16, master_key=b"m" * 16)
NEW = Keys(b"new", b"E" * 16, b"A" * 16)
ENCRYPTION = {"encryption": b"E" * 16}
CHANGED = replace(FILE, encryption_key=b"E" * 16)


class Bench:
    """A store on the disk, and key changes that can be loaded from it as after a restart."""

    def __init__(self, store: Store, key: Path, clock: SetClock) -> None:
        self.store, self.key, self.clock = store, key, clock

    async def changes(self, **new: Keys) -> KeyChanges:
        changes = KeyChanges(
            {"M1": FILE, "M2": FILE}, new or {"M1": NEW}, self.store.generations, Vault(self.key), self.clock
        )
        await changes.load()
        return changes


@pytest.fixture
async def bench(tmp_path: Path) -> Any:
    clock = SetClock()
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Bench(store, tmp_path / "store.key", clock)


async def brought_to(bench: Bench, state: State) -> KeyChanges:
    """Return what a restart finds of a change that has come to `state`."""
    changes = await bench.changes()
    await changes.stage("M1", ENCRYPTION)
    if state is not State.PENDING:
        await changes.answered("M1", taken=state is not State.REFUSED)
    if state is State.WAITING:
        await changes.opened("M1", FILE)
    return await bench.changes()


async def test_without_a_generation_the_file_counts_and_no_key_is_made(bench: Bench) -> None:
    changes = await bench.changes()
    assert changes.candidates("M1") == (FILE,)
    assert changes.candidates("M9") == (Keys(),)
    assert changes.counts() == {"changed": 0, "coming": 0, "sealed": 0}
    assert not bench.key.exists()


@pytest.mark.parametrize("state", RULES, ids=str)
async def test_both_are_known_at_every_step_and_each_is_tried_once(bench: Bench, state: State) -> None:
    changes = await brought_to(bench, state)
    assert changes.coming("M1") is state
    first, second = changes.candidates("M1")
    assert {first, second} == {FILE, CHANGED}
    assert (first == CHANGED) is RULES[state].first


@pytest.mark.parametrize("state", RULES, ids=str)
async def test_the_new_ones_that_open_are_in_force_for_good(bench: Bench, state: State) -> None:
    await (await brought_to(bench, state)).opened("M1", CHANGED)
    changes = await bench.changes()
    assert changes.candidates("M1") == (CHANGED,)
    assert changes.coming("M1") is None
    assert changes.candidates("M2") == (FILE,)


async def test_the_old_ones_that_open_end_what_the_meter_refused(bench: Bench) -> None:
    await (await brought_to(bench, State.REFUSED)).opened("M1", FILE)
    changes = await bench.changes()
    assert changes.candidates("M1") == (FILE,)
    assert await bench.store.generations.all() == []


@pytest.mark.parametrize("state", [State.PENDING, State.WRITTEN, State.WAITING], ids=str)
async def test_what_the_meter_may_have_taken_is_not_forgotten_though_the_old_ones_open(
    bench: Bench, state: State
) -> None:
    await (await brought_to(bench, state)).opened("M1", FILE)
    changes = await bench.changes()
    assert changes.candidates("M1") == (FILE, CHANGED)
    assert changes.coming("M1") is State.WAITING


async def test_generations_grow_and_keep_what_earlier_ones_changed(bench: Bench) -> None:
    changes = await brought_to(bench, State.WRITTEN)
    await changes.opened("M1", CHANGED)
    await changes.stage("M1", {"password": b"new"})
    both = replace(CHANGED, password=b"new")
    changes = await bench.changes()
    assert changes.candidates("M1") == (both, CHANGED)
    await changes.opened("M1", both)
    [kept] = await bench.store.generations.all()
    assert (kept.generation, kept.state, set(kept.secrets)) == (2, "current", {"encryption", "password"})
    assert (await bench.changes()).in_force("M1") == both


async def test_what_is_wanted_is_what_differs_from_what_is_in_force(bench: Bench) -> None:
    changes = await bench.changes(M1=Keys(b"old", b"E" * 16), M2=Keys())
    kinds = ("encryption", "authentication", "password")
    assert changes.wanted("M1", kinds) == ENCRYPTION
    assert changes.wanted("M1", ("password",)) == {}
    assert changes.wanted("M2", kinds) == changes.wanted("M9", kinds) == {}
    await changes.stage("M1", ENCRYPTION)
    await changes.opened("M1", CHANGED)
    assert changes.wanted("M1", kinds) == {}


async def test_the_same_may_be_sent_again_and_others_not(bench: Bench) -> None:
    changes = await brought_to(bench, State.WAITING)
    with pytest.raises(MeterError, match="generation 1 of its secrets is still on its way to M1"):
        await changes.stage("M1", {"encryption": b"X" * 16})
    assert changes.candidates("M1") == (FILE, CHANGED)
    await changes.stage("M1", ENCRYPTION)
    await changes.answered("M1", taken=False)
    assert changes.coming("M1") is State.WAITING
    await changes.answered("M1", taken=True)
    assert changes.candidates("M1") == (CHANGED, FILE)


async def test_secrets_lie_sealed_in_the_store(bench: Bench) -> None:
    changes = await brought_to(bench, State.PENDING)
    await changes.opened("M1", CHANGED)
    files = [path.read_bytes() for path in bench.key.parent.iterdir()]
    assert len(files) >= 3
    assert not any(b"E" * 16 in octets for octets in files)


async def test_a_store_without_its_key_shuts_out_its_meters_and_no_others(bench: Bench) -> None:
    await brought_to(bench, State.PENDING)
    bench.key.unlink()
    changes = await bench.changes(M2=NEW)
    for found in (changes.candidates, changes.in_force):
        with pytest.raises(ConfigError, match=r"store.key: the key of this store is missing"):
            found("M1")
    assert "missing" in changes.describe("M1")["error"]
    assert changes.candidates("M2") == (FILE,)
    assert changes.counts()["sealed"] == 1
    assert "secrets of 1 meters" in changes.problems()[0]
    # a key made now would leave the store under two
    with pytest.raises(ConfigError, match="is missing"):
        await changes.stage("M2", ENCRYPTION)
    assert not bench.key.exists()


async def test_what_is_told_names_states_and_shows_no_secret(bench: Bench) -> None:
    changes = await brought_to(bench, State.WRITTEN)
    told = changes.describe("M1")
    assert told["current"]["generation"] == 0
    assert told["coming"]["generation"] == 1
    assert (told["coming"]["state"], told["coming"]["since"]) == ("written", "2027-01-15T08:00:00.250Z")
    old, new = told["current"]["secrets"], told["coming"]["secrets"]
    assert old.keys() == new.keys() == {"encryption", "authentication", "password"}
    assert old["encryption"] != new["encryption"]
    assert old["authentication"] == new["authentication"]
    assert old["password"] == "set"
    assert not any(secret.hex() in str(told) for secret in (FILE.encryption_key, NEW.encryption_key))
    assert changes.describe("M2")["coming"] is None


@pytest.mark.parametrize(
    ("access", "kinds"),
    [
        (Access("a"), ()),
        (Access("a", authentication=Authentication.LLS), ("password",)),
        (Access("a", authentication=Authentication.HLS_GMAC), ("encryption", "authentication")),
        (Access("a", authentication=Authentication.HLS_ECDSA, ciphered=True), ("encryption", "authentication")),
        (
            Access("a", authentication=Authentication.LLS, ciphered=True),
            ("encryption", "authentication", "password"),
        ),
    ],
)
def test_only_what_an_association_proves_can_be_changed(access: Access, kinds: tuple[str, ...]) -> None:
    assert kinds_of(access) == kinds
