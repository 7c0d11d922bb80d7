"""A rate that is configured, over a connection on loopback: it is kept, and so is the order, but for what is urgent."""

import asyncio

from dcu.uplink import Outgoing
from tests.scripted_broker import ACCEPTED_5, PUBLISH, scripted
from tests.unit.uplink.test_link import WILL, acknowledging, uplink


async def test_a_rate_is_kept_and_so_is_the_order() -> None:
    loop = asyncio.get_running_loop()
    async with scripted(acknowledging(ACCEPTED_5)) as broker, uplink(broker.port, rate=100).connect(WILL) as link:
        began = loop.time()
        await asyncio.gather(*(link.publish(Outgoing("t", b"%d" % n)) for n in range(11)))
        assert loop.time() - began >= 0.1
        sent = [body for first, body in broker.packets if first & 0xF0 == PUBLISH]
        assert [body[6:] for body in sent] == [b"%d" % n for n in range(11)]


async def test_what_is_urgent_passes_those_that_wait_for_their_turn() -> None:
    async with scripted(acknowledging(ACCEPTED_5)) as broker, uplink(broker.port, rate=20).connect(WILL) as link:
        waiting = [asyncio.create_task(link.publish(Outgoing("t", b"%d" % n))) for n in range(8)]
        await broker.until(lambda: PUBLISH in broker.kinds())
        await link.publish(Outgoing("t", b"!", urgent=True))
        await asyncio.gather(*waiting)
        sent = [body[6:] for first, body in broker.packets if first & 0xF0 == PUBLISH]
        assert sent.index(b"!") < 8
        assert sent[-1] == b"7"
