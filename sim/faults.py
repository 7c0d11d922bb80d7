"""What goes wrong on a simulated line, and how often: octets, frames, answers and foreign talk, all from one seed.

When a disturbed octet appears is `sim.line`'s business; what a healthy meter says is `sim.server`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dcu.dlms.hdlc import UI, FrameReader, client_address, control, encode_frame

#: Nobody in a fleet is this client: what is addressed to it is foreign to every reader.
FOREIGN_CLIENT = 0x55
CHATTER_OCTETS = 40


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances (0 to 1) of each fault. Frozen: exchange the whole to change one while the line runs.

    `byte_errors` per octet in both directions: one bit is flipped. `frame_loss` per frame in both directions.
    `late` per answer, which then comes `late_by` seconds after its time. `silent` names meters that hear and say
    nothing. `misaddressed` per answer: it bears another meter's address. `chatter` per request: octets of others, or
    a whole frame for another client, precede the answer. `echo`: the master's adapter hears whatever it says.
    """

    byte_errors: float = 0.0
    frame_loss: float = 0.0
    late: float = 0.0
    late_by: float = 3.0
    silent: frozenset[str] = frozenset()
    misaddressed: float = 0.0
    chatter: float = 0.0
    echo: bool = False


class Dice:
    """Decides, reproducibly, which fault happens when."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def falls(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    def garble(self, data: bytes, chance: float) -> bytes:
        """Return `data` with one bit flipped in each octet that `chance` hits."""
        if chance <= 0:
            return data
        roll = self._random.random
        return bytes(octet ^ (1 << self._random.randrange(8)) if roll() < chance else octet for octet in data)

    def readdress(self, answer: bytes, others: Sequence[bytes]) -> bytes:
        """Return the frame `answer` as if another of `others` (address fields) had sent it."""
        reader = FrameReader()
        reader.receive_data(answer)
        frame = reader.next_frame()
        if frame is None:
            return answer
        # of the same size: the other sizes also hold this meter's own address, written differently
        strangers = [other for other in others if len(other) == len(frame.source) and other != frame.source]
        if not strangers:
            return answer
        source = self._random.choice(strangers)
        return encode_frame(frame.destination, source, frame.control, frame.payload, segmented=frame.segmented)

    def chatter(self, others: Sequence[bytes]) -> bytes:
        """Return noise, or a sound frame between others."""
        noise = self._random.randbytes(self._random.randint(1, CHATTER_OCTETS))
        if not others or self._random.random() < 0.5:
            return noise
        return encode_frame(client_address(FOREIGN_CLIENT), self._random.choice(others), control(UI), noise)
