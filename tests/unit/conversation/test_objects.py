"""Any object of a meter by command: read, written and invoked over a line in memory, and never told twice."""

import json
from typing import Any

import pytest

from dcu.conversation.objects import carry_out, check, confirm
from dcu.conversation.session import Session
from dcu.dlms.acse import Conformance
from dcu.dlms.hdlc import LLC_RESPONSE, FrameReader, encode_frame
from dcu.dlms.services import Get
from dcu.errors import Breach, CommandRejected, MeterError, NotGivenError, StaleError, UnsureError
from dcu.messages.catalogue import CATALOGUE
from dcu.model import Command, Priority, Visit
from sim import server
from sim.virtual import VirtualClock
from tests.items import ENERGY
from tests.lines import CIPHERED, Box, PortAround, virtually
from tests.unit.dlms.rare_values import WRITABLE

DAYS = {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2}
CHRISTMAS = [{"index": 1, "date": "*-12-25", "day": 2}]
NAMES = {9: "10.0.100", 11: "11.0.0", 17: "41.0.0", 18: "44.0.0", 20: "13.0.0", 21: "16.1.0", 22: "15.0.0"} | {
    40: "25.9.0",
    64: "43.0.0",
    71: "17.0.0",
    111: "19.0.0",
    112: "19.10.0",
    113: "19.20.0",
    115: "19.40.0",
}


def command(name: str, **args: object) -> Command:
    return Command("c1", name, ("M0001",), CATALOGUE[name].check(args))


async def tell(session: Session, name: str, **args: object) -> dict[str, Any]:
    asked = command(name, **args)
    check(asked)
    answer: dict[str, Any] = json.loads(json.dumps(await carry_out(session, asked)))
    return answer


def test_items_of_any_class_each_with_its_value_or_its_error() -> None:
    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()
        items = [
            {"object": "1-0:1.8.0.255", "class": 3, "attribute": 3},
            {"object": "1-0:1.8.0.255", "class": 1, "attribute": 2},
            {"object": "0-0:25.9.0.255", "class": 40, "attribute": 6},
            {"object": "9-9:9.9.9.255", "class": 1, "attribute": 2},
        ]
        answer = await tell(session, "meter.get", items=items)
        scaler, inconsistent, retries, undefined = answer["items"]
        assert scaler == items[0] | {"value": [0, 30]}
        assert inconsistent == items[1] | {"error": "object class inconsistent", "code": 9}
        assert retries == items[2] | {"word": "retries", "value": 0}
        assert undefined == items[3] | {"error": "object undefined", "code": 4}
        await session.close()

    virtually(work)


def test_every_attribute_comes_back_as_the_json_that_was_written() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        session = await box.maker().open(box.port, box.entry())
        for class_id, attribute, _, plain in WRITABLE:
            if class_id == 115:
                continue
            target = {"object": f"0-0:{NAMES[class_id]}.255", "class": class_id, "attribute": attribute}
            assert await tell(session, "meter.set", **target, value=plain) == target
            (item,) = (await tell(session, "meter.get", **target))["items"]
            assert item["value"] == plain, item
        await session.close()

    virtually(work)


def test_a_method_is_invoked() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        session = await box.maker().open(box.port, box.entry())
        calendar = {"object": "0-0:13.0.0.255", "class": 20}
        await tell(session, "meter.set", **calendar, attribute=6, value="WINTER")
        assert await tell(session, "meter.execute", **calendar, method=1) == calendar | {"method": 1}
        (item,) = (await tell(session, "meter.get", **calendar, attribute=2))["items"]
        assert (item["word"], item["value"]) == ("active_name", "WINTER")
        await session.close()

    virtually(work)


def test_a_refusal_names_what_the_meter_said() -> None:
    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()  # a reader, who may not write
        with pytest.raises(NotGivenError, match="the meter refuses: read-write denied"):
            await tell(session, "meter.set", **DAYS, value=CHRISTMAS)
        await session.close()

    virtually(work)


def test_an_attribute_of_another_shape_costs_only_its_item(monkeypatch: pytest.MonkeyPatch) -> None:
    async def odd(_: Session, items: list[Get]) -> list[Any]:
        return [[7] for _ in items]

    monkeypatch.setattr(Session, "get", odd)

    async def work(clock: VirtualClock) -> None:
        items = (await tell(await Box(clock).session(), "meter.get", items=[DAYS, DAYS | {"class": 1}]))["items"]
        assert items[0]["error"] == "days has another shape: [7]"
        assert items[1]["value"] == [7]

    virtually(work)


def test_a_value_that_json_cannot_hold_costs_only_its_item(monkeypatch: pytest.MonkeyPatch) -> None:
    async def odd(_: Session, items: list[Get]) -> list[Any]:
        return [float("nan"), [1, float("inf")], 1.5][: len(items)]

    async def returned(*_: object) -> float:
        return float("nan")

    monkeypatch.setattr(Session, "get", odd)
    monkeypatch.setattr(Session, "perform", returned)

    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()
        *lost, held = (await tell(session, "meter.get", items=[DAYS | {"class": 1}] * 3))["items"]
        assert {each["error"] for each in lost} == {"JSON cannot hold its value (NaN or infinity)"}
        assert held["value"] == 1.5
        # the method was carried out all the same
        act = {"object": "0-0:13.0.0.255", "class": 20, "method": 1}
        assert await tell(session, "meter.execute", **act) == act | {"returned": None}

    virtually(work)


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("meter.get", {"object": "1-0:99.1.0.255", "class": 7, "attribute": 2}, "meter.read does, by range"),
        ("meter.get", {"object": "0-0:40.0.0.255", "class": 15, "attribute": 7}, "does not read a password"),
        ("meter.set", {"object": "0-0:96.3.10.255", "class": 70, "attribute": 4, "value": 0}, "the disconnector"),
        ("meter.execute", {"object": "0-0:96.3.10.255", "class": 70, "method": 1}, "the disconnector"),
        ("meter.set", {"object": "0-0:19.40.0.255", "class": 115, "attribute": 2, "value": "1"}, "the token gateway"),
        ("meter.execute", {"object": "0-0:19.40.0.255", "class": 115, "method": 1, "value": "1"}, "the token gateway"),
        ("meter.set", {"object": "0-0:40.0.0.255", "class": 15, "attribute": 7, "value": "x"}, "a password"),
        ("meter.execute", {"object": "0-0:43.0.0.255", "class": 64, "method": 2, "value": []}, "does not change keys"),
        ("meter.execute", {"object": "0-0:40.0.0.255", "class": 15, "method": 2, "value": 1}, "a secret"),
        ("meter.set", DAYS | {"value": [{"index": 1}]}, r"days\[0\] \(expected index, date, day\)"),
        ("meter.set", DAYS | {"attribute": 9, "value": 1}, "class 11 attribute 9 cannot be written"),
        ("meter.set", {"object": "0-0:96.3.1.255", "class": 1, "attribute": 2, "value": 5}, "cannot be written"),
        (
            "meter.set",
            {"object": "0-0:96.3.1.255", "class": 1, "attribute": 2, "value": 1e308, "type": "float32"},
            "fit",
        ),
        ("meter.execute", {"object": "0-0:10.0.100.255", "class": 9, "method": 1, "value": "x"}, "execute: not its"),
    ],
)
def test_what_is_refused_before_a_meter_hears_of_it(name: str, args: dict[str, object], reason: str) -> None:
    with pytest.raises(CommandRejected, match=reason):
        check(command(name, **args))


def test_an_error_after_the_request_has_left_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> Any:
        raise MeterError("silent for 2.0 s")

    monkeypatch.setattr(Session, "_exchange", fail)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.maker().make(box.port, box.entry())
        monkeypatch.setattr(session._association, "send", lambda _: b"")
        with pytest.raises(UnsureError, match=r"not known whether it was carried out.*silent for 2\.0 s"):
            await carry_out(session, command("meter.set", **DAYS, value=CHRISTMAS))

    virtually(work)


def test_what_may_have_been_written_is_done_only_when_the_meter_holds_it() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        session = await box.maker().open(box.port, box.entry())
        doubtful = command("meter.set", **DAYS, value=CHRISTMAS)
        with pytest.raises(UnsureError, match="another value"):
            await confirm(session, doubtful)
        await carry_out(session, doubtful)
        assert await confirm(session, doubtful) == DAYS | {"confirmed": True}
        with pytest.raises(UnsureError, match="read before you repeat"):
            await confirm(session, command("meter.execute", object="0-0:13.0.0.255", **{"class": 20}, method=1))
        await session.close()

    virtually(work)


def test_an_association_gone_in_a_rest_is_found_out_before_anything_is_changed() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        session = await box.maker().open(box.port, box.entry())
        asked = command("meter.set", **DAYS, value=CHRISTMAS)
        session.resume()
        assert await carry_out(session, asked) == DAYS
        box.meters[0].shelf.clear()
        session.resume()
        box.bus.silence("M0001")
        with pytest.raises(StaleError):
            await carry_out(session, asked)
        assert box.meters[0].shelf == {}

    virtually(work)


class Forging(PortAround):
    """Gives `forged`, once it is set, as the meter's answer to the next question."""

    forged = b""

    async def read(self) -> bytes:
        data = await super().read()
        if not self.forged:
            return data
        reader = FrameReader()
        reader.receive_data(data)
        while (frame := reader.next_frame()) is None:
            reader.receive_data(await super().read())
        forged, self.forged = LLC_RESPONSE + self.forged, b""
        return encode_frame(frame.destination, frame.source, frame.control, forged)


def test_a_refusal_that_anybody_can_make_leaves_it_open_whether_the_meter_did_it_and_is_counted() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        port = Forging(box.port)
        box.port = port
        poll = box.poll()
        shift = {"object": "0-0:1.0.0.255", "class": 8, "attribute": 3, "value": 60, "type": "long"}
        forge = poll.sessions.open

        async def opened(*args: Any) -> Session:
            session = await forge(*args)
            port.forged = bytes.fromhex("d80202")
            return session

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(poll.sessions, "open", opened)
            poll.submit(Visit("M0001", command=command("meter.set", **shift), priority=Priority.COMMAND))
            await poll.step()
        ((_, answer, reason),) = box.answers
        assert answer is None
        assert reason is not None
        assert reason.startswith("not known whether it was carried out")
        assert poll.health.security == {Breach.PLAIN: 1}
        assert [(name, detail["breach"]) for name, _, detail in box.reports] == [("security breach", "plain")]

    virtually(work)


def test_what_the_meter_cannot_take_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.server.MAX_PDU", 64)
    monkeypatch.setattr("sim.server.CONFORMANCE", server.CONFORMANCE & ~Conformance.BLOCK_TRANSFER_SET)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        before = box.requests
        value = {"object": "0-0:96.1.9.255", "class": 1, "attribute": 2, "value": {"hex": "00" * 200}}
        with pytest.raises(NotGivenError, match="the meter takes 64"):
            await tell(session, "meter.set", **value, type="octet-string")
        assert box.requests == before
        assert isinstance((await session.get([ENERGY]))[0], int)
        await session.close()

    virtually(work)
