"""A meter on a line says no, or nothing, to whatever it hears: it never fails, and a closed one gives nothing away."""

from hypothesis import given
from hypothesis import strategies as st

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance
from dcu.dlms.apdu import decode_response, encode_request
from dcu.dlms.hdlc import Frame, FrameReader, client_address, control
from dcu.dlms.services import Get, GetResponse, Selection
from dcu.model import Attribute
from sim import objects
from sim.blocks import Blocks
from sim.line import Line
from sim.server import ACCESS, READER, ServerAssociation
from sim.stations import HdlcServer
from tests.unit.sim.conversation import NOW, meter

tags = st.sampled_from([0x60, 0x62, 0xC0, 0xC1, 0xC3, 0x21, 0xC8, 0xC9, 0xCB, 0x00])
apdus = st.builds(
    lambda tag, choice, rest: bytes((tag, choice)) + rest, tags, st.integers(0, 4), st.binary(max_size=80)
)
names = st.sampled_from(sorted(objects.CLASSES["idis", 1]))
attributes = st.builds(Attribute, st.sampled_from([1, 3, 7, 8, 15, 70, 99]), names, st.integers(-128, 127))

scalars = st.one_of(
    st.builds(axdr.u32, st.integers(0, 2**32 - 1)),
    st.builds(axdr.i32, st.integers(-(2**31), 2**31 - 1)),
    st.builds(axdr.octets, st.binary(max_size=14)),
    st.just(axdr.null()),
)
parameters = st.recursive(
    scalars,
    lambda inner: st.builds(lambda items: axdr.structure(*items), st.lists(inner, max_size=5)),
    max_leaves=12,
)
selections = st.none() | st.builds(Selection, st.integers(0, 3), parameters)


def opened() -> ServerAssociation:
    server = ServerAssociation(meter(), READER)
    server._open = True
    server._blocks = Blocks(0xFFFF, Conformance.GET | Conformance.BLOCK_TRANSFER_GET)
    return server


@given(apdus, st.sampled_from(list(ACCESS.values())))
def test_before_an_association_no_apdu_gets_a_value(apdu: bytes, access: object) -> None:
    simulated = meter()
    server = ServerAssociation(simulated, next(each for each in ACCESS.values() if each is access))
    assert server.answer(apdu, NOW)
    assert not simulated.served
    assert simulated.relay.connected


@given(apdus)
def test_in_an_association_any_apdu_gets_an_answer(apdu: bytes) -> None:
    assert opened().answer(apdu, NOW)


@given(attributes, selections)
def test_any_attribute_and_selection_gets_a_value_or_a_reason(
    attribute: Attribute, selection: Selection | None
) -> None:
    answer = opened().answer(encode_request(Get(attribute, selection), 3), NOW)
    response, invoke = decode_response(answer)
    assert invoke == 3
    assert isinstance(response, GetResponse) or len(answer) > 1000


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=60), st.booleans()), max_size=6))
def test_any_frames_leave_the_meter_able_to_connect(frames: list[tuple[int, bytes, bool]]) -> None:
    server = HdlcServer(meter())
    here = server.addresses[0]
    for kind, payload, segmented in frames:
        server.receive_frame(Frame(here, client_address(2), kind, payload, segmented=segmented), NOW)
    (ua,) = server.receive_frame(Frame(here, client_address(2), control(0x83)), NOW)
    reader = FrameReader()
    reader.receive_data(ua)
    frame = reader.next_frame()
    assert frame is not None
    assert frame.kind == 0x63


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_noise_on_the_line_gets_no_answer(chunks: list[bytes]) -> None:
    line = Line([meter()])
    for chunk in chunks:
        line.receive_data(chunk, 1.0)
    while (wake := line.next_wake()) is not None:
        assert line.transmit(wake, NOW) == b""
    assert not line.counters.replies
