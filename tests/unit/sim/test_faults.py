from dcu.dlms.hdlc import FrameReader, I, ServerAddress, client_address, control, encode_frame
from sim.faults import Dice, Faults

OTHERS = [ServerAddress(1, number, 4).to_bytes() for number in range(17, 21)]
ANSWER = encode_frame(client_address(2), OTHERS[0], control(I), b"reading")


def test_nothing_goes_wrong_unasked() -> None:
    assert Faults() == Faults(0.0, 0.0, 0.0, 3.0, frozenset(), 0.0, 0.0)
    assert not Dice(1).falls(0.0)
    assert Dice(1).garble(ANSWER, 0.0) == ANSWER


def test_the_same_seed_throws_the_same_dice() -> None:
    assert [Dice(5).falls(0.5) for _ in range(3)] == [Dice(5).falls(0.5) for _ in range(3)]
    one, same, other = (Dice(seed).garble(bytes(500), 0.1) for seed in (1, 1, 2))
    assert one == same != other


def test_a_chance_is_kept() -> None:
    dice = Dice(1)
    assert 850 < sum(dice.falls(0.1) for _ in range(10_000)) < 1150


def test_byte_errors_flip_one_bit_in_the_share_of_octets_asked_for() -> None:
    garbled = Dice(1).garble(bytes(20_000), 0.05)
    wrong = [octet for octet in garbled if octet]
    assert 850 < len(wrong) < 1150
    assert all(octet.bit_count() == 1 for octet in wrong)


def test_a_misaddressed_answer_is_sound_and_another_meters() -> None:
    reader = FrameReader()
    reader.receive_data(Dice(1).readdress(ANSWER, OTHERS))
    frame = reader.next_frame()
    assert frame is not None
    assert frame.source in OTHERS[1:]
    assert frame.payload == b"reading"


def test_a_lonely_meter_cannot_be_taken_for_another() -> None:
    assert Dice(1).readdress(ANSWER, OTHERS[:1]) == ANSWER


def test_chatter_is_sometimes_a_sound_frame_for_somebody_else() -> None:
    dice = Dice(1)
    reader = FrameReader()
    frames = 0
    for _ in range(100):
        reader.receive_data(dice.chatter(OTHERS))
        while frame := reader.next_frame():
            frames += 1
            assert frame.destination != client_address(2)
    assert 20 < frames < 80
