"""Frames that are lost, repeated, damaged, cut short or late: what both sides said arrives once and in order, or never.

The line keeps the order of frames, as every line does; when each end looks at it, and when patience ends, is drawn too.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from itertools import chain, product, repeat

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from dcu.dlms.hdlc import FrameReader, Parameters, ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import ApduReceived, LinkOpened, NeedData, Transmit
from dcu.errors import MeterError, MeterTimeoutError
from sim.meter import Nameplate, SimMeter
from sim.server import ServerAssociation
from sim.stations import HdlcServer

CLIENT, ADDRESS = 2, ServerAddress(1, 17)

#: More frames than the longest conversation here needs, however often each is repeated.
STEPS = 20_000


class Fate(Enum):
    PASS = "passes"
    LOSE = "is lost"
    TWICE = "comes twice"
    DAMAGE = "is damaged"
    CUT = "is cut short"


class Turn(Enum):
    CLIENT = "the client hears a frame"
    METER = "the meter hears a frame"
    SILENCE = "the client loses patience"


class Case:
    """A conversation: `asked` and `answers` are APDUs, `fates` those of the frames as they are said, then all pass."""

    def __init__(
        self,
        asked: Sequence[bytes],
        answers: Sequence[bytes],
        fates: Sequence[tuple[Fate, int]],
        turns: Sequence[Turn] = (),
        stations: tuple[Parameters, Nameplate] | None = None,
    ) -> None:
        offer, plate = stations or (Parameters(), Nameplate(seed=1, id="M1"))
        self.asked = asked
        self.answers = answers
        self.served: list[bytes] = []
        self.heard: list[bytes] = []
        self.frames = 0
        self._fates = chain(fates, repeat((Fate.PASS, 0)))
        self._turns = chain(turns, repeat(Turn.CLIENT))
        self._link = HdlcLink(CLIENT, ADDRESS, offer)
        self._server = HdlcServer(SimMeter(plate))
        self._reader = FrameReader()
        self._to_meter: deque[bytes] = deque()
        self._to_client: deque[bytes] = deque()

    def play(self) -> None:
        """Raises MeterError when the link gives up."""
        with served_by(self):
            self._say(self._to_meter, self._link.open())
            for _ in range(STEPS):
                match self._link.next_event():
                    case Transmit(data):
                        self._say(self._to_meter, data)
                    case LinkOpened():
                        self._say(self._to_meter, self._link.send(self.asked[0]))
                    case ApduReceived(apdu):
                        self.heard.append(apdu)
                        if len(self.heard) == len(self.asked):
                            return
                        self._say(self._to_meter, self._link.send(self.asked[len(self.heard)]))
                    case NeedData():
                        self._pass_on(next(self._turns))
            raise AssertionError("the conversation does not end")

    def answer(self, apdu: bytes) -> bytes:
        self.served.append(apdu)
        return self.answers[len(self.served) - 1]

    def _pass_on(self, turn: Turn) -> None:
        if turn is Turn.SILENCE or not (self._to_client or self._to_meter):
            self._wait_in_vain()
        elif self._to_client and (turn is Turn.CLIENT or not self._to_meter):
            self._link.receive_data(self._to_client.popleft())
        else:
            self._reader.receive_data(self._to_meter.popleft())
            self._serve()

    def _wait_in_vain(self) -> None:
        self._reader.break_off()
        self._serve()
        again = self._link.retry()
        if again is None:
            raise MeterTimeoutError("silent")
        self._say(self._to_meter, again)

    def _serve(self) -> None:
        while (frame := self._reader.next_frame()) is not None:
            for answer in self._server.receive_frame(frame, 0.0):
                self._say(self._to_client, answer)

    def _say(self, way: deque[bytes], data: bytes) -> None:
        for octets in split(data):
            self.frames += 1
            fate, at = next(self._fates)
            match fate:
                case Fate.PASS:
                    way.append(octets)
                case Fate.TWICE:
                    way.extend((octets, octets))
                case Fate.DAMAGE:
                    bit = at % (len(octets) * 8)
                    damaged = bytearray(octets)
                    damaged[bit // 8] ^= 1 << bit % 8
                    way.append(bytes(damaged))
                case Fate.CUT:
                    way.append(octets[: at % len(octets)])


@contextmanager
def served_by(case: Case) -> Iterator[None]:
    """Let `case` answer in the place of the meter's association."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServerAssociation, "answer", lambda _, apdu, now: case.answer(apdu))
        yield


def split(data: bytes) -> list[bytes]:
    """Return the octets of each frame in `data`."""
    frames = []
    while data:
        end = 2 + (int.from_bytes(data[1:3]) & 0x07FF)
        frames.append(data[:end])
        data = data[end:]
    return frames


APDUS = st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=600)), min_size=1, max_size=4)
WINDOWS = st.integers(1, 7)
INFO = st.sampled_from((32, 33, 64, 128, 2030))
STATIONS = st.builds(
    lambda offer, plate: (offer, plate),
    st.builds(Parameters, INFO, INFO, WINDOWS, WINDOWS),
    st.builds(Nameplate, seed=st.just(1), id=st.just("M1"), max_info=INFO, window=WINDOWS),
)
FATES = st.lists(st.tuples(st.sampled_from([*[Fate.PASS] * 6, *Fate]), st.integers(0, 20_000)), max_size=60)
TURNS = st.lists(st.sampled_from([*[Turn.CLIENT, Turn.METER] * 3, Turn.SILENCE]), max_size=60)


@given(APDUS, FATES, TURNS, STATIONS)
def test_what_is_said_arrives_once_and_in_order_or_the_link_says_that_it_failed(
    apdus: list[tuple[bytes, bytes]],
    fates: list[tuple[Fate, int]],
    turns: list[Turn],
    stations: tuple[Parameters, Nameplate],
) -> None:
    asked, answers = zip(*apdus, strict=True)
    case = Case(asked, answers, fates, turns, stations)
    try:
        case.play()
    except MeterError as error:
        event(type(error).__name__)
        # what did arrive is a beginning of what was said, on either side
        assert case.served == list(asked[: len(case.served)])
        assert case.heard == list(answers[: len(case.heard)])
        return
    event("arrived")
    assert case.served == list(asked)
    assert case.heard == list(answers)


SMALL = Nameplate(seed=1, id="M1", max_info=32, window=3)


def talk(fates: Sequence[tuple[Fate, int]], offer: Parameters) -> Case:
    """Two questions and their answers, each of several segments."""
    return Case((bytes(range(100)), b"second"), (bytes(range(200)), b"short"), fates, (), (offer, SMALL))


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate is not Fate.PASS])
@pytest.mark.parametrize("offer", [Parameters(2030, 2030), Parameters(2030, 2030, 7, 7), Parameters(33, 40, 2, 1)])
def test_whichever_single_frame_goes_wrong_all_arrives(fate: Fate, offer: Parameters) -> None:
    sound = talk((), offer)
    sound.play()
    for number, at in product(range(sound.frames), (3, 30, 301)):
        case = talk([(Fate.PASS, 0)] * number + [(fate, at)], offer)
        case.play()
        assert (case.served, case.heard) == (list(case.asked), list(case.answers))


def test_a_window_saves_turns_and_a_lost_frame_costs_only_its_window() -> None:
    frames = {}
    for window in (1, 3):
        case = talk((), Parameters(2030, 2030, window, window))
        case.play()
        frames[window] = case.frames
    assert frames[3] < frames[1]
