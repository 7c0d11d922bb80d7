"""What is said of a change of secrets before a word is spoken, and of a counter that is to be forgotten."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dcu.conversation.session import unwatched
from dcu.errors import Breach, NotGivenError, OverError, RefusedError, SecurityError, UnsureError
from dcu.messages.catalogue import FORGET_COUNTER
from dcu.model import Access, Authentication, Keys, Referencing
from dcu.polling.rekey import carry_out
from sim import server
from tests.lines import PAIR
from tests.rekeying import NEW, Rekeying, rekeyed, visit


@pytest.mark.parametrize(
    ("kinds", "new", "reason"),
    [
        (("password",), NEW, "access management proves no password"),
        ((), Keys(), "new_keys has no encryption, authentication for M0001"),
        (("encryption",), Keys(b"p"), "new_keys has no encryption for M0001"),
    ],
)
def test_what_cannot_be_changed_is_said_before_a_word_is_spoken(
    tmp_path: Path, kinds: tuple[str, ...], new: Keys, reason: str
) -> None:
    async def work(rekeying: Rekeying) -> None:
        rekeying.new = new
        await rekeying.start()
        with pytest.raises(NotGivenError, match=reason):
            await rekeying.change(*kinds)
        assert rekeying.box.requests == 0

    rekeyed(tmp_path, work)


def test_without_a_master_key_nothing_is_sent(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        rekeying.old = replace(rekeying.old, master_key=b"")
        await rekeying.start()
        with pytest.raises(NotGivenError, match="keys has no master_key for M0001"):
            await rekeying.change()
        assert await rekeying.store.all() == []

    rekeyed(tmp_path, work)


def test_an_hls_secret_does_not_travel_in_the_clear(tmp_path: Path) -> None:
    bare = Access("sha256", 6, Authentication.HLS_SHA256)

    async def work(rekeying: Rekeying) -> None:
        with pytest.raises(NotGivenError, match="would travel in the clear: access sha256 is not ciphered"):
            await rekeying.change()
        assert rekeying.box.requests == 0

    rekeyed(tmp_path, work, access=bare)


def test_short_names_reach_no_secret(tmp_path: Path) -> None:
    old = Access("old", 2, Authentication.LLS, referencing=Referencing.SN)

    async def work(rekeying: Rekeying) -> None:
        with pytest.raises(NotGivenError, match="by logical names"):
            await rekeying.change()
        assert rekeying.box.requests == 0

    rekeyed(tmp_path, work, access=old)


def test_another_meter_in_its_place_keeps_its_password(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        await rekeying.store.put("M0001", "@identity", {"serial": "the one before"})
        with pytest.raises(NotGivenError, match="another meter may be there"):
            await rekeying.change()
        assert rekeying.meter.keys == rekeying.old
        with pytest.raises(UnsureError, match="another meter may be there"):
            await rekeying.change(doubtful=True)

    rekeyed(tmp_path, work, replace(PAIR, meters=1))


def forget(rekeying: Rekeying, permit: Callable[[], None] = unwatched) -> Awaitable[dict[str, object]]:
    made, archive = visit(name=FORGET_COUNTER), rekeying.box.archive()
    return carry_out(rekeying.maker, rekeying.port, rekeying.entry, made, archive, lambda: None, permit)


async def gone_back(rekeying: Rekeying, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Have the meter count from the beginning again; return what it is known to have used."""
    await rekeying.read()
    await rekeying.store.record([], {}, rekeying.maker.heard())
    monkeypatch.setattr("sim.guard._COUNTS_PER_SECOND", 0)
    rekeying.meter.spoken = 0
    return dict(rekeying.store.heard)


def test_a_meter_whose_counter_went_back_is_believed_anew_by_command(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        await rekeying.read()
        await rekeying.store.record([], {}, rekeying.maker.heard())
        before = rekeying.meter.spoken
        # an exchanged board: its clock, and with it its counter, is years behind
        rekeying.meter.spoken = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sim.guard._COUNTS_PER_SECOND", 0)
            with pytest.raises(SecurityError) as caught:
                await rekeying.read()
            assert caught.value.breach is Breach.COUNTER
            told = await forget(rekeying)
            assert told == {"meter": "M0001", "before": before, "now": told["now"]}
            assert isinstance(told["now"], int)
            assert told["now"] < 10
            await rekeying.read()
            await rekeying.start()
            await rekeying.read()

    rekeyed(tmp_path, work)


def test_who_does_not_know_the_keys_cannot_make_us_forget(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        await rekeying.read()
        await rekeying.store.record([], {}, rekeying.maker.heard())
        known = dict(rekeying.store.heard)
        rekeying.meter.keys = replace(rekeying.old, authentication_key=b"?" * 16)
        with pytest.raises((RefusedError, SecurityError)):
            await forget(rekeying)
        assert rekeying.store.heard == known

    rekeyed(tmp_path, work)


@pytest.mark.parametrize("error", [OverError("its time was over before it was sent"), UnsureError()])
def test_nothing_is_forgotten_for_a_command_that_is_over_or_may_have_been_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def permit() -> None:
        raise error

    async def work(rekeying: Rekeying) -> None:
        known = await gone_back(rekeying, monkeypatch)
        with pytest.raises(type(error), match=str(error)):
            await forget(rekeying, permit)
        assert rekeying.store.heard == known
        with pytest.raises(SecurityError, match="counter"):
            await rekeying.read()

    rekeyed(tmp_path, work)


def test_of_another_meter_that_has_the_same_keys_no_counter_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(rekeying: Rekeying) -> None:
        known = await gone_back(rekeying, monkeypatch)
        await rekeying.store.put("M0001", "@identity", {"title": b"ANOTHER1".hex()})
        with pytest.raises(SecurityError, match="is not that of M0001"):
            await forget(rekeying)
        assert rekeying.store.heard == known

    rekeyed(tmp_path, work)


@pytest.mark.parametrize("name", ["gmac", "sha256", "sealed"])
def test_without_ciphering_or_challenge_there_is_nothing_to_believe(tmp_path: Path, name: str) -> None:
    async def work(rekeying: Rekeying) -> None:
        with pytest.raises(NotGivenError, match=f"access {name} has no counter of M0001, or no proof"):
            await forget(rekeying)
        assert rekeying.box.requests == 0

    rekeyed(tmp_path, work, access=next(each for each in server.OTHERS if each.name == name))


def test_a_box_without_key_changes_says_so(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        rekeying.maker = rekeying.box.maker()
        with pytest.raises(NotGivenError, match="keys never change here"):
            await rekeying.change()

    rekeyed(tmp_path, work, PAIR)
