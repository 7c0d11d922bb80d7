"""The connection to one broker on loopback: what it is granted, what leaves and when, and how it ends."""

import asyncio
import dataclasses

import pytest

from dcu.config import UplinkSettings
from dcu.errors import UplinkError
from dcu.messages.commands import MAX_COMMAND
from dcu.uplink import Link, Outgoing, RefusedError, UnheardError, Uplink, client
from dcu.uplink.client import MAX_PACKET_IN
from dcu.uplink.dial import DIAL_TIMEOUT
from tests.scripted_broker import (
    ACCEPTED_3,
    ACCEPTED_5,
    CONNECT,
    DISCONNECT,
    PUBLISH,
    REFUSED_3,
    SUBSCRIBE,
    Answer,
    ScriptedBroker,
    connack_5,
    puback,
    scripted,
    version,
)

WILL = Outgoing("ami/v1/D/state", b'{"state":"offline"}', retain=True)
DATA = Outgoing("ami/v1/D/data/load0", b"x")


def uplink(port: int, **settings: object) -> Uplink:
    return Uplink(UplinkSettings("127.0.0.1", "D", port, **settings), "D")  # type: ignore[arg-type]


def accepting(connack: bytes = ACCEPTED_5, on_publish: bytes | None = b"") -> Answer:
    """Accept and leave every PUBLISH unanswered, or hang up at it."""

    def answer(first: int, _: bytes) -> bytes | None:
        return {CONNECT: connack, PUBLISH: on_publish}.get(first & 0xF0, b"")

    return answer


def acknowledging(connack: bytes, reason: int | None = None) -> Answer:
    def answer(first: int, body: bytes) -> bytes | None:
        return {CONNECT: connack, PUBLISH: puback(body, reason)}.get(first & 0xF0, b"")

    return answer


def connects(broker: ScriptedBroker) -> list[bytes]:
    return [body for first, body in broker.packets if first & 0xF0 == CONNECT]


async def test_mqtt_5_with_a_session_that_lasts() -> None:
    async with scripted(acknowledging(ACCEPTED_5)) as broker, uplink(broker.port).connect(WILL) as link:
        await link.publish(DATA)
        (connect,) = connects(broker)
        assert version(connect) == 5
        assert connect[7] & 0b0000_0010 == 0, "clean start"
        assert connect[7] & 0b0010_1100 == 0b0010_1100, "will, QoS 1, retained"
        assert bytes.fromhex("1100015180") in connect, "session expiry 86400 s"
        assert link.version == "5"


@pytest.mark.parametrize(("settings", "told"), [({}, True), ({"mqtt_version": "3"}, False)])
async def test_the_content_type_is_told_where_there_is_a_place_for_it(settings: dict[str, object], told: bool) -> None:
    accepted = ACCEPTED_5 if told else ACCEPTED_3
    async with scripted(acknowledging(accepted)) as broker, uplink(broker.port, **settings).connect(WILL) as link:
        await link.publish(dataclasses.replace(DATA, content_type="application/json"))
        # MQTT 5, 3.3.2.3.9: property 3, a text with its length
        assert (b"\x13\x03\x00\x10application/json" in broker.packets[-1][1]) is told


async def test_a_broker_that_refuses_mqtt_5_is_remembered() -> None:
    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 != CONNECT:
            return b""
        return ACCEPTED_3 if version(body) == 4 else REFUSED_3

    async with scripted(answer) as broker:
        way = uplink(broker.port)
        for _ in range(2):
            async with way.connect(WILL) as link:
                assert link.version == "3.1.1"
        assert [version(connect) for connect in connects(broker)] == [5, 4, 4]
        assert connects(broker)[-1][7] & 0b0000_0010 == 0, "clean session"


@pytest.mark.parametrize("reply", [None, b""])
async def test_a_broker_that_does_not_answer_mqtt_5_gets_3_1_1(
    reply: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "DIAL_TIMEOUT", 0.3)

    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 != CONNECT:
            return b""
        # what is answered, is answered within no particular time
        monkeypatch.setattr(client, "DIAL_TIMEOUT", DIAL_TIMEOUT)
        return ACCEPTED_3 if version(body) == 4 else reply

    async with scripted(answer) as broker:
        way = uplink(broker.port)
        for _ in range(2):
            async with way.connect(WILL) as link:
                assert link.version == "3.1.1"
        assert [version(connect) for connect in connects(broker)] == [5, 4, 4]


async def test_a_broker_without_retained_messages_by_its_connack() -> None:
    refusing = connack_5(154)

    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 != CONNECT:
            return puback(body)
        return refusing if body[7] & 0b0010_0000 else connack_5(0, bytes.fromhex("2500"))

    async with scripted(answer) as broker, uplink(broker.port).connect(WILL) as link:
        await link.publish(WILL)
        assert broker.packets[-1][0] == PUBLISH | 0b0010, "QoS 1, not retained"


async def test_a_version_that_is_configured_is_kept_to() -> None:
    async with scripted(accepting(REFUSED_3)) as broker:
        with pytest.raises(UplinkError, match="Unsupported protocol version"):
            async with uplink(broker.port, mqtt_version="5").connect(WILL):
                pass
        assert broker.connections == 1


async def test_a_refusal_for_another_reason_ends_the_try() -> None:
    async with scripted(accepting(connack_5(135))) as broker:
        with pytest.raises(UplinkError, match="Not authorized"):
            async with uplink(broker.port).connect(WILL):
                pass
        assert broker.connections == 1


async def test_nobody_listens() -> None:
    with pytest.raises(UplinkError):
        async with uplink(1).connect(WILL):
            pass


async def test_limits_of_the_broker_are_kept() -> None:
    # Receive Maximum 8, Maximum QoS 1, Maximum Packet Size 4096.
    limits = bytes.fromhex("210008 2401 2700001000")
    async with scripted(accepting(connack_5(0, limits))) as broker, uplink(broker.port).connect(WILL) as link:
        assert link.window == 7
        assert link.max_payload == 4096 - 512


async def test_a_broker_that_takes_next_to_nothing_is_none() -> None:
    def limited(octets: int) -> Answer:
        return accepting(connack_5(0, b"\x27" + octets.to_bytes(4, "big")))

    async with scripted(limited(1511)) as broker:
        with pytest.raises(UplinkError, match="takes packets of 1511 octets, which is too little"):
            async with uplink(broker.port).connect(WILL):
                pass
        await broker.until(lambda: broker.open == 0)
        broker.answer = limited(1512)
        async with uplink(broker.port).connect(WILL) as link:
            assert link.max_payload == 1000


async def test_a_puback_that_never_comes_is_an_error_in_time() -> None:
    async with scripted(accepting()) as broker, uplink(broker.port, keepalive=0.05).connect(WILL) as link:
        with pytest.raises(UplinkError, match="not answer in time"):
            await link.publish(DATA)


async def test_a_refused_message_is_not_an_acknowledged_one() -> None:
    async with scripted(acknowledging(ACCEPTED_5, 0x87)) as broker, uplink(broker.port).connect(WILL) as link:
        with pytest.raises(RefusedError, match="Not authorized"):
            await link.publish(DATA)
        assert broker.open == 1


@pytest.mark.parametrize(
    ("reason", "for_good"), [(0x80, True), (0x83, True), (0x99, True), (0x87, False), (0x90, False), (0x97, False)]
)
async def test_whether_a_refusal_is_for_what_the_message_is(reason: int, for_good: bool) -> None:
    async with scripted(acknowledging(ACCEPTED_5, reason)) as broker, uplink(broker.port).connect(WILL) as link:
        with pytest.raises(RefusedError) as refused:
            await link.publish(DATA)
        assert refused.value.for_good == for_good


async def test_what_is_longer_than_the_broker_takes_is_refused_here_and_ends_no_connection() -> None:
    connack = connack_5(0, b"\x27" + (4096).to_bytes(4, "big"))
    async with scripted(acknowledging(connack)) as broker, uplink(broker.port).connect(WILL) as link:
        with pytest.raises(RefusedError, match="4000 octets, of which the broker takes 4096"):
            await link.publish(dataclasses.replace(DATA, payload=bytes(4000)))
        await link.publish(dataclasses.replace(DATA, payload=bytes(link.max_payload)))
        assert broker.open == 1


async def test_what_nobody_has_subscribed_to_is_no_delivery_of_what_is_wanted() -> None:
    async with scripted(acknowledging(ACCEPTED_5, 0x10)) as broker, uplink(broker.port).connect(WILL) as link:
        await link.publish(DATA)
        with pytest.raises(UnheardError, match="nobody has subscribed to ami/v1/D/data/load0"):
            await link.publish(dataclasses.replace(DATA, wanted=True))


async def test_a_lost_connection_wakes_every_waiter_at_once() -> None:
    publishes = 0

    def answer(first: int, _: bytes) -> bytes | None:
        nonlocal publishes
        publishes += first & 0xF0 == PUBLISH
        return None if publishes == 3 else {CONNECT: ACCEPTED_5}.get(first, b"")

    async with scripted(answer) as broker, uplink(broker.port).connect(WILL) as link:
        waiting = [link.publish(DATA) for _ in range(3)]
        outcomes = await asyncio.gather(*waiting, anext(link.messages()), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [UplinkError] * 4
        with pytest.raises(UplinkError):
            await link.publish(DATA)


async def test_messages_leave_in_the_order_of_the_calls() -> None:
    async with scripted(acknowledging(ACCEPTED_5)) as broker, uplink(broker.port).connect(WILL) as link:
        await asyncio.gather(*(link.publish(Outgoing("t", b"%d" % n)) for n in range(50)))
        sent = [body for first, body in broker.packets if first & 0xF0 == PUBLISH]
        assert [body[6:] for body in sent] == [b"%d" % n for n in range(50)]


def delivering(command: bytes) -> Answer:
    """A broker that sends one QoS 1 command, packet id 9, after the SUBSCRIBE."""
    publish = b"\x00\x01c\x00\x09\x00" + command

    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 == SUBSCRIBE:
            return bytes([0x90, 5]) + body[:2] + b"\x00\x01\x01" + bytes([0x32, len(publish)]) + publish
        return {CONNECT: ACCEPTED_5}.get(first, b"")

    return answer


async def test_a_command_is_acknowledged_by_us_and_not_before() -> None:
    async with scripted(delivering(b"do it")) as broker, uplink(broker.port).connect(WILL) as link:
        await link.subscribe("c", "d")
        message = await anext(link.messages())
        assert (message.topic, message.payload) == ("c", b"do it")
        assert 0x40 not in broker.kinds()
        link.acknowledge(message)
        await broker.until(lambda: 0x40 in broker.kinds())
        assert broker.packets[-1][1][:2] == b"\x00\x09"


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (b"\x01\x87", "refuses the subscription to d"),
        (b"\x01", "refuses the subscription to d"),
        (b"\x01\x00", "grants QoS 0 only for d: what comes there could be lost"),
    ],
)
async def test_a_subscription_that_is_not_wholly_granted_is_an_error(codes: bytes, told: str) -> None:
    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 == SUBSCRIBE:
            return bytes([0x90, 3 + len(codes)]) + body[:2] + b"\x00" + codes
        return {CONNECT: ACCEPTED_5}.get(first, b"")

    async with scripted(answer) as broker, uplink(broker.port).connect(WILL) as link:
        with pytest.raises(UplinkError, match=told):
            await link.subscribe("c", "d")


async def test_a_broker_that_acknowledges_nothing_gets_nothing() -> None:
    async with scripted(accepting(connack_5(0, bytes.fromhex("2400")))) as broker:
        with pytest.raises(UplinkError, match="QoS 0 only: nothing would be acknowledged"):
            async with uplink(broker.port).connect(WILL) as link:
                await link.publish(DATA)
        assert PUBLISH not in broker.kinds()


async def test_a_hang_up_at_a_subscription_is_noticed_at_once() -> None:
    def answer(first: int, _: bytes) -> bytes | None:
        return {CONNECT: ACCEPTED_5, SUBSCRIBE: None}.get(first & 0xF0, b"")

    async with scripted(answer) as broker, uplink(broker.port).connect(WILL) as link:
        with pytest.raises(UplinkError, match="connection lost"):
            await link.subscribe("c")


async def test_a_packet_without_end_is_cut_off() -> None:
    endless = bytes([0x30, 0xFF, 0xFF, 0xFF, 0x7F]) + bytes(MAX_PACKET_IN + 1)

    def answer(first: int, _: bytes) -> bytes | None:
        return {CONNECT: ACCEPTED_5 + endless}.get(first, b"")

    async with scripted(answer) as broker:
        with pytest.raises(UplinkError, match=r"a packet of 268435455 octets|right after CONNACK"):
            async with uplink(broker.port).connect(WILL) as link:
                await anext(link.messages())
        await broker.until(lambda: broker.open == 0)


async def test_a_message_that_is_too_long_is_cut_acknowledged_and_harms_nobody() -> None:
    topic = b"\x00\x01c" + b"\x00\x07"
    body = topic + bytes(2 * MAX_PACKET_IN)
    length = len(body)
    long = bytes([0x32, length & 127 | 128, length >> 7 & 127 | 128, length >> 14]) + body
    after = bytes([0x32, 6]) + b"\x00\x01c" + b"\x00\x08!"

    def answer(first: int, body: bytes) -> bytes | None:
        return {CONNECT: ACCEPTED_3, PUBLISH: puback(body) + long + after}.get(first & 0xF0, b"")

    async with scripted(answer) as broker, uplink(broker.port, mqtt_version="3").connect(WILL) as link:
        await link.publish(DATA)
        messages = link.messages()
        cut, whole = await anext(messages), await anext(messages)
        assert MAX_COMMAND < len(cut.payload) <= 3 * MAX_PACKET_IN // 2
        assert whole.payload == b"!"
        link.acknowledge(cut)
        await broker.until(lambda: (0x40, b"\x00\x07") in broker.packets)


async def test_leaving_says_disconnect() -> None:
    async with scripted(accepting()) as broker:
        async with uplink(broker.port).connect(WILL):
            pass
        await broker.until(lambda: broker.open == 0)
        assert broker.kinds()[-1] == DISCONNECT


async def test_cancelled_while_the_broker_keeps_silent() -> None:
    """No connection stays behind: with the same client id it would throw out the next one."""
    async with scripted(lambda _, __: b"") as broker:

        async def connecting() -> None:
            async with uplink(broker.port).connect(WILL):
                pass

        task = asyncio.create_task(connecting())
        await broker.until(lambda: CONNECT in broker.kinds())
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await broker.until(lambda: broker.open == 0)


async def test_cancelled_while_waiting_for_an_acknowledgement() -> None:
    async with scripted(accepting()) as broker, uplink(broker.port).connect(WILL) as link:
        task = asyncio.create_task(link.publish(DATA))
        await broker.until(lambda: PUBLISH in broker.kinds())
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await still_works(broker, link)


async def still_works(broker: ScriptedBroker, link: Link) -> bool:
    broker.answer = acknowledging(ACCEPTED_5)
    await link.publish(DATA)
    return True


async def test_no_more_is_under_way_than_the_broker_takes() -> None:
    at_most_two = connack_5(0, bytes.fromhex("210002"))
    async with scripted(accepting(at_most_two)) as broker, uplink(broker.port).connect(WILL) as link:
        tasks = [asyncio.create_task(link.publish(DATA)) for _ in range(3)]
        await broker.until(lambda: broker.kinds().count(PUBLISH) == 2)
        await link.publish(dataclasses.replace(DATA, qos=0, expiry=300))
        await broker.until(lambda: broker.packets[-1][0] == PUBLISH)
        # MQTT 5, 3.3.2.3.3: property 2, four octets
        assert b"\x05\x02\x00\x00\x01\x2c" in broker.packets[-1][1]
        assert broker.kinds().count(PUBLISH) == 3
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize(("connack", "resumed"), [(ACCEPTED_5, False), (bytes.fromhex("2003010000"), True)])
async def test_whether_the_broker_still_had_the_session(connack: bytes, resumed: bool) -> None:
    async with scripted(accepting(connack)) as broker, uplink(broker.port).connect(WILL) as link:
        assert link.resumed is resumed
        assert link.broker == f"127.0.0.1:{broker.port}"
