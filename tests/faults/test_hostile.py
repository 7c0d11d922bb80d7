"""Octets that nobody meant are refused at every door, or taken for what they are; `bench faults` offers many more."""

import pytest

from bench import hostile
from bench.hostile import Offered, offered
from dcu.errors import DcuError
from dcu.obeying.obey import Obey
from tests.property.targets import TARGETS

ROUNDS = 40


def test_nothing_that_comes_in_by_any_door_does_harm() -> None:
    found = offered(ROUNDS)
    assert found.inputs > len(TARGETS) * ROUNDS
    assert found.faults == []


def test_the_measure_tells_what_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: bytes) -> None:
        raise IndexError

    monkeypatch.setattr(hostile, "TARGETS", [(broken, "data")])
    monkeypatch.setattr(Obey, "lines", None)  # what the local door asks is not there any more
    found = offered(4)
    assert len([fault for fault in found.faults if fault.startswith("bus, broken: IndexError for ")]) >= 4
    assert len([fault for fault in found.faults if fault.startswith("socket")]) == 5


async def test_the_measure_tells_what_grows_and_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "END", 0.05)
    held: list[bytearray] = []

    async def grows(_: bytes) -> None:
        held.append(bytearray(b"x") * (hostile.GROWTH * 1024))

    def turns(_: bytes) -> None:
        while True:
            pass

    async def refuses(_: bytes) -> None:
        raise DcuError("not this")

    found = Offered()
    await found.at("grown", grows, [b"a", b"b"])
    monkeypatch.setattr(hostile, "HANG", 0.0)
    with hostile.alarmed():
        await found.at("turning", hostile.alone(turns), [b"c"])
    assert [fault.split(":")[0] for fault in found.faults] == ["grown", "turning", "turning"]
    assert "TimeoutError for 63" in found.faults[1]
    assert "hangs at 63" in found.faults[2]
    await found.at("refusing", refuses, [b"d"])
    assert (found.inputs, len(found.faults)) == (4, 3)
