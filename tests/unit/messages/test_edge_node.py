"""What an edge node sends is taken by a host that holds it to every rule, and says what the captures say."""

from dataclasses import replace

import pytest

from dcu.errors import CommandRejected
from dcu.messages.edge_node import EdgeNode, asks_for_rebirth
from dcu.messages.events import own_event, own_values
from dcu.messages.sparkplug import Metric, Payload, encode_payload
from dcu.model import ALARM, DCU_EVENTS, INSTANT, NO_STATUS, Capture, Column
from tests.sparkplug_host import Host

NOW = 1_790_000_000.0
ENERGY = Column(3, bytes((1, 0, 1, 8, 0, 255)), scaler=-1, unit=30)
VOLTAGE = Column(3, bytes((1, 0, 32, 7, 0, 255)), scaler=-1, unit=35)


def capture(meter: str = "M1", at: float = NOW, stream: str = INSTANT, **more: object) -> Capture:
    made = Capture(meter, stream, int(at), NO_STATUS, (123, 2301), (ENERGY, VOLTAGE), at, 0.0, trusted=True)
    return replace(made, **more)  # type: ignore[arg-type]


def node() -> EdgeNode:
    return EdgeNode("utility", "DCU-1", {"version": "1"}, {30: "Wh", 35: "V"}, own_event)


def hosted(edge: EdgeNode) -> Host:
    """Connect and give birth; return the host that has heard it."""
    host = Host("utility", "DCU-1", edge.connect().payload)
    for message in edge.births(NOW):
        host.hear(message.topic, message.payload)
    return host


def tell(edge: EdgeNode, host: Host, *captures: Capture, now: float = NOW) -> None:
    for message in edge.data(now, captures):
        host.hear(message.topic, message.payload)


def test_a_capture_is_told_with_time_value_scaler_and_unit() -> None:
    edge = node()
    host = hosted(edge)
    tell(edge, host, capture())
    name = "instant/1-0:1.8.0.255/2"
    assert host.told["M1", name] == [(int(NOW) * 1000, 123, False)]
    (known,) = [each for each in host.known["M1"].values() if each.name == name]
    assert known.properties == {"scaler": -1, "unit": 30, "engUnit": "Wh"}


def test_rows_of_the_last_hours_that_were_just_read_are_told_in_their_order_and_as_they_stand() -> None:
    edge = node()
    host = hosted(edge)
    rows = [capture(at=NOW - ago, stream="load0", read_at=NOW) for ago in (1800, 900, 0)]
    tell(edge, host, *rows)
    name = "load0/1-0:1.8.0.255/2"
    assert [late for _, _, late in host.told["M1", name]] == [False] * 3
    tell(edge, host, capture(at=NOW - 900, stream="load0", read_at=NOW))
    assert host.told["M1", name][-1] == (int(NOW - 900) * 1000, 123, True)


def test_what_the_box_met_before_its_birth_is_history_and_what_comes_then_is_not() -> None:
    edge = node()
    host = hosted(edge)
    happened = capture(stream=DCU_EVENTS, columns=(), values=own_values("started", {}))
    tell(edge, host, *(replace(happened, at=int(NOW) + after, read_at=NOW) for after in (-5, 5, 3)))
    assert [late for _, _, late in host.told["", f"{DCU_EVENTS}/event"]] == [True, False, True]


def test_a_known_meter_is_born_with_what_it_shows_before_any_data() -> None:
    edge = node()
    tell(edge, hosted(edge), capture("M1"), capture("M2", values=(5, 6)))
    host = hosted(edge)
    assert host.births == ["", "M1", "M2"]
    tell(edge, host, capture("M2", NOW + 60, values=(7, None)), now=NOW + 60)
    assert host.births == ["", "M1", "M2"]
    assert host.told["M2", "instant/1-0:32.7.0.255/2"] == [(int(NOW + 60) * 1000, None, False)]


@pytest.mark.parametrize(
    "value", [-1, 1 << 62, -(1 << 63), 1 << 63, 1 << 80, 0, True, False, "text", b"\x00\xff", 1.5, None]
)
def test_every_kind_of_value_arrives(value: str | bytes | float | bool | None) -> None:
    edge = node()
    host = hosted(edge)
    tell(edge, host, capture(values=(value, 1)))
    expected = str(value) if isinstance(value, int) and value >= 1 << 63 else value
    assert host.told["M1", "instant/1-0:1.8.0.255/2"] == [(int(NOW) * 1000, expected, False)]


def test_another_type_or_scaler_is_told_by_a_birth_under_the_same_alias() -> None:
    edge = node()
    host = hosted(edge)
    tell(edge, host, capture(), capture(values=("OBIS", 1)), capture(columns=(replace(ENERGY, scaler=2), VOLTAGE)))
    assert host.births == ["", "M1", "M1", "M1"]
    (known,) = [each for each in host.known["M1"].values() if each.name == "instant/1-0:1.8.0.255/2"]
    assert known.properties["scaler"] == 2


def test_what_waited_long_or_comes_late_is_history_and_does_not_change_how_things_are() -> None:
    edge = node()
    host = hosted(edge)
    tell(edge, host, capture(), capture(at=NOW - 60), capture(at=NOW - 4000, read_at=NOW - 4000))
    told = host.told["M1", "instant/1-0:1.8.0.255/2"]
    assert [history for _, _, history in told] == [False, True, True]
    again = Host("utility", "DCU-1", edge.death().payload)
    births = list(edge.births(NOW + 1))
    for message in births:
        again.hear(message.topic, message.payload)
    (known,) = [each for each in again.known["M1"].values() if each.name == "instant/1-0:1.8.0.255/2"]
    assert known.newest == int(NOW) * 1000


def test_numbers_go_round_at_256_and_begin_at_0_with_a_rebirth() -> None:
    edge = node()
    host = hosted(edge)
    tell(edge, host, *(capture(at=NOW + number) for number in range(600)))
    assert host.seq == 601 % 256
    for message in edge.births(NOW + 600):
        host.hear(message.topic, message.payload)
    assert host.seq == 1


def test_each_connection_has_the_next_number_and_an_ordered_end_tells_it() -> None:
    edge = node()
    for number in (*range(256), 0):
        host = hosted(edge)
        assert host.bdseq == number
        host.hear(edge.death().topic, edge.death().payload, qos=1)
        assert not host.alive


def test_events_are_told_by_name() -> None:
    edge = EdgeNode(
        "utility", "DCU-1", describe=lambda each: {"event": "cover opened", "severity": "alarm", "more": [1]}
    )
    host = hosted(edge)
    tell(edge, host, capture(stream=ALARM, columns=(ENERGY,), values=(4,)))
    assert host.told["M1", "event.alarm/event"] == [(int(NOW) * 1000, "cover opened", False)]
    assert host.told["M1", "event.alarm/more"] == [(int(NOW) * 1000, "[1]", False)]


def test_the_boxes_own_events_belong_to_the_node() -> None:
    edge = node()
    host = hosted(edge)
    told = own_values("meter exchanged", {"before": "1", "now": "2"})
    tell(edge, host, capture(stream=DCU_EVENTS, columns=(), values=told))
    assert host.told["", "event.dcu/event"] == [(int(NOW) * 1000, "meter exchanged", False)]
    assert host.told["", "event.dcu/meter"] == [(int(NOW) * 1000, "M1", False)]
    assert host.told["", "event.dcu/detail"] == [(int(NOW) * 1000, '{"before":"1","now":"2"}', False)]


def test_a_meter_that_is_read_no_more_dies_and_may_come_again() -> None:
    edge = node()
    host = hosted(edge)
    tell(edge, host, capture(), capture("M2"))
    for message in [*edge.gone(NOW, "M1"), *edge.gone(NOW, "unheard-of")]:
        host.hear(message.topic, message.payload)
    assert set(host.known) == {"", "M2"}
    tell(edge, host, capture())
    assert host.births == ["", "M1", "M2", "M1"]


def test_a_host_may_ask_for_rebirth_and_for_nothing_else() -> None:
    def request(**metric: object) -> bytes:
        return encode_payload(Payload(1, (Metric(**metric),)))  # type: ignore[arg-type]

    assert asks_for_rebirth(request(name="Node Control/Rebirth", value=True))
    assert not asks_for_rebirth(request(name="Node Control/Rebirth", value=False))
    assert not asks_for_rebirth(request(name="Node Control/Reboot", value=True))
    assert not asks_for_rebirth(b"")
    with pytest.raises(CommandRejected):
        asks_for_rebirth(b"\xff" * 20)
