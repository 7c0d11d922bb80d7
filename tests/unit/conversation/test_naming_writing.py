"""What is written to a meter with short names, and what it cannot be told."""

import pytest

from dcu.dlms.axdr import octets
from dcu.dlms.moment import DateTime
from dcu.dlms.services import AccessError, Action, Get, Set
from dcu.errors import NotServedError
from dcu.model import Attribute
from dcu.obis import parse_obis
from sim.virtual import VirtualClock
from tests.lines import OLD, Box, virtually

ENERGY = Get(Attribute(3, parse_obis("1-0:1.8.0.255")))
CLOCK = Attribute(8, parse_obis("0-0:1.0.0.255"))
UNKNOWN = Get(Attribute(3, parse_obis("1-0:99.8.0.255")))
UNDEFINED = AccessError(4)
MESSAGE = Attribute(1, parse_obis("0-0:96.13.0.255"))


def test_a_value_is_written_by_its_short_name() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        session = await box.session()
        assert await session.perform(Set(MESSAGE, octets(b"hello"))) is None
        assert box.meters[0].message == b"hello"
        assert await session.perform(Set(ENERGY.attribute, octets(b""))) == AccessError(3)
        assert await session.perform(Set(UNKNOWN.attribute, octets(b""))) == UNDEFINED
        # the clock, as everybody will want to set it
        target = octets(DateTime.from_utc(int(clock.now()) + 30).to_bytes())
        assert await session.perform(Set(CLOCK, target)) is None
        assert 28 < box.meters[0].clock_shift < 31

    virtually(work)


def test_no_method_is_invoked_and_the_conversation_goes_on() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        session = await box.session()
        with pytest.raises(NotServedError, match="no method"):
            await session.perform(Action(70, parse_obis("0-0:96.3.10.255"), 1))
        assert type((await session.get([ENERGY]))[0]) is int
        assert box.meters[0].relay.connected

    virtually(work)
