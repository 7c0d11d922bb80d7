"""When a line is opened, drained and given up, and that what was held over an old connection is forgotten with it."""

from typing import cast

import pytest

from dcu.conversation.held import Held
from dcu.conversation.line import Line
from dcu.errors import BusError


class Wire:
    """A port that notes in `done` what is asked of it; `anew`: draining takes a new connection."""

    octets_sent = octets_received = 0

    def __init__(self) -> None:
        self.done: list[str] = []
        self.hung, self.gone, self.anew = False, False, False

    async def open(self) -> None:
        self.done.append("open")
        if self.gone:
            raise BusError("/dev/ttyS9: gone")
        self.hung = False

    def hung_up(self) -> bool:
        return self.hung

    async def write(self, data: bytes) -> None:
        self.done.append("write")

    async def read(self) -> bytes:
        return b"x"

    async def drain(self, quiet: float) -> bool:
        self.done.append("drain")
        return self.anew

    async def close(self) -> None:
        self.done.append("close")


class Holding:
    """Notes beside what is done on the wire that nothing is held any more."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def forget(self, meter: str | None = None) -> None:
        self._wire.done.append("forget")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def line(wire: Wire) -> Line:
    return Line(wire, cast("Held", Holding(wire)))


async def ready(line: Line, wire: Wire) -> list[str]:
    """Return what making the line ready takes."""
    wire.done.clear()
    await line.ready()
    return list(wire.done)


async def test_it_is_opened_and_drained_once(line: Line, wire: Wire) -> None:
    assert await ready(line, wire) == ["open", "forget", "drain"]
    assert await ready(line, wire) == []


async def test_what_may_still_be_answered_is_drained(line: Line, wire: Wire) -> None:
    await line.ready()
    line.disturb()
    assert await ready(line, wire) == ["drain"]
    line.disturb(late=False)
    assert await ready(line, wire) == []


async def test_a_new_connection_ends_what_was_held_over_the_old_one(line: Line, wire: Wire) -> None:
    await line.ready()
    line.disturb()
    wire.anew = True
    assert await ready(line, wire) == ["drain", "forget"]


async def test_a_line_that_was_hung_up_is_opened_again(line: Line, wire: Wire) -> None:
    await line.ready()
    wire.hung = True
    assert await ready(line, wire) == ["open", "forget", "drain"]


async def test_a_lost_line_is_lost_until_it_can_be_opened(line: Line, wire: Wire) -> None:
    await line.ready()
    line.lose()
    wire.gone = True
    with pytest.raises(BusError):
        await line.ready()
    assert line.lost
    wire.gone = False
    assert await ready(line, wire) == ["open", "forget", "drain"]
    assert not line.lost


async def test_a_closed_line_can_be_opened_again(line: Line, wire: Wire) -> None:
    await line.ready()
    await line.close()
    assert wire.done[-1] == "close"
    assert await ready(line, wire) == ["open", "forget", "drain"]
