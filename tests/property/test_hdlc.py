"""Frames through a line that splits, damages and invents: what comes out was sent, and the next one gets through."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dcu.dlms import hdlc
from dcu.dlms.hdlc import Frame, FrameReader, Parameters, ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import LinkOpened, NeedData
from dcu.dlms.wrapper import PacketReader, WrapperLink
from dcu.errors import MeterError

ADDRESSES = st.one_of(
    st.builds(ServerAddress, st.integers(0, 127), st.just(0), st.just(1)),
    st.builds(ServerAddress, st.integers(0, 127), st.integers(0, 127), st.just(2)),
    st.builds(ServerAddress, st.integers(0, 0x3FFF), st.integers(0, 0x3FFF), st.just(4)),
)
FRAMES = st.builds(
    Frame,
    ADDRESSES.map(ServerAddress.to_bytes),
    st.integers(0, 127).map(hdlc.client_address),
    st.integers(0, 255),
    st.binary(max_size=200),
    st.booleans(),
)


def octets_of(frame: Frame) -> bytes:
    return hdlc.encode_frame(frame.destination, frame.source, frame.control, frame.payload, segmented=frame.segmented)


def read(chunks: list[bytes]) -> list[Frame]:
    reader = FrameReader()
    found = []
    for chunk in chunks:
        reader.receive_data(chunk)
        while (frame := reader.next_frame()) is not None:
            found.append(frame)
    return found


def split(octets: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [octets[start:end] for start, end in pairwise(places)]


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 2000), max_size=20))
def test_frames_split_anywhere(frames: list[Frame], cuts: list[int]) -> None:
    assert read(split(b"".join(map(octets_of, frames)), cuts)) == frames


@given(FRAMES, FRAMES, st.data())
def test_damage_never_becomes_another_frame_nor_costs_the_next(
    first: Frame, second: Frame, data: st.DataObject
) -> None:
    octets = bytearray(octets_of(first))
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    found = read([bytes(octets), octets_of(second)])
    assert found[-1] == second
    assert all(frame == first for frame in found[:-1])


@given(FRAMES, FRAMES, st.integers(0, 250))
def test_a_frame_cut_short_costs_itself_and_only_delays_the_others(first: Frame, second: Frame, size: int) -> None:
    """Its header may promise octets that never come; once as many others came, all that were whole are found."""
    cut, whole = octets_of(first)[:size], octets_of(second)
    repeats = len(octets_of(first)) // len(whole) + 2
    found = read([cut, *[whole] * repeats])
    assert found.count(second) >= repeats
    assert all(frame in (first, second) for frame in found)


@given(st.binary(max_size=600), FRAMES)
def test_noise_costs_at_most_what_it_pretends_to_be(noise: bytes, frame: Frame) -> None:
    """Noise can only hold a frame up by beginning one with a good header check, and then only up to its length."""
    found = read([noise, octets_of(frame)])
    assert found[-1:] == [frame]


@given(st.lists(st.sampled_from([0x7E, 0xA0, 0xA8, 0x07, 0x0A, 0x23, 0x02, 0x00, 0xFF]), max_size=600).map(bytes))
def test_flag_runs_and_false_headers_end(octets: bytes) -> None:
    reader = FrameReader()
    reader.receive_data(octets)
    while reader.next_frame() is not None:
        pass
    assert len(reader._buffer) <= len(octets)


@given(st.binary(max_size=60))
def test_hostile_parameters(field: bytes) -> None:
    for octets in (field, b"\x81\x80" + bytes((len(field),)) + field):
        try:
            granted = Parameters.from_bytes(octets)
        except MeterError:
            continue
        assert hdlc.MIN_INFO <= granted.transmit <= hdlc.MAX_INFO
        assert Parameters.from_bytes(granted.to_bytes()) == granted


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40), st.booleans()), max_size=30))
def test_a_meter_gone_mad_raises_nothing_but_meter_error(said: list[tuple[int, bytes, bool]]) -> None:
    link = HdlcLink(2, ServerAddress(1, 17))
    link.open()
    client, meter = hdlc.client_address(2), ServerAddress(1, 17).to_bytes()
    for control, payload, segmented in said:
        link.receive_data(hdlc.encode_frame(client, meter, control, payload, segmented=segmented))
        try:
            while not isinstance(event := link.next_event(), NeedData):
                if isinstance(event, LinkOpened):
                    link.send(bytes(10))
        except MeterError:
            return


@given(st.lists(st.binary(max_size=100), max_size=10), st.lists(st.integers(0, 2000), max_size=20))
def test_packets_split_anywhere(apdus: list[bytes], cuts: list[int]) -> None:
    reader = PacketReader()
    link = WrapperLink(2, 17)
    found = []
    for chunk in split(b"".join(map(link.send, apdus)), cuts):
        reader.receive_data(chunk)
        while (packet := reader.next_packet()) is not None:
            found.append(packet.apdu)
    assert found == apdus
