"""The pacing arithmetic, exactly, and each fault. Times are seconds on a clock that the test holds."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.dlms.hdlc import SNRM, UA, Frame, FrameReader, Parameters, ServerAddress, client_address, control, encode_frame
from sim.faults import Faults
from sim.line import MAX_BACKLOG, MAX_PENDING, Line
from tests.unit.sim.conversation import NOW, meter

BAUD = 9600
OCTET = 10 / BAUD
TURNAROUND = 0.02
START = 100.0


def address(number: int) -> bytes:
    return ServerAddress(1, number, 4).to_bytes()


def snrm(number: int = 17, parameters: Parameters | None = None) -> bytes:
    payload = (parameters or Parameters(2030, 2030)).to_bytes()
    return encode_frame(address(number), client_address(16), control(SNRM), payload)


def make_line(**changes: Any) -> Line:
    meters = [meter(id=f"M{number}", address=number) for number in (17, 18, 19)]
    return Line(meters, baud=BAUD, turnaround=TURNAROUND, **changes)


def run(line: Line, until: float) -> list[tuple[float, bytes]]:
    """Step `line` from one wake to the next up to `until`; return what appeared when."""
    seen = []
    while (wake := line.next_wake()) is not None and wake <= until:
        data = line.transmit(wake, NOW)
        if data:
            seen.append((wake, data))
    return seen


def frames(seen: list[tuple[float, bytes]]) -> list[Frame]:
    reader = FrameReader()
    found = []
    for _, data in seen:
        reader.receive_data(data)
        while frame := reader.next_frame():
            found.append(frame)
    return found


def test_a_request_passes_then_the_turnaround_then_the_answer() -> None:
    line = make_line()
    request = snrm()
    line.receive_data(request, START)
    seen = run(line, START + 10)
    answer = b"".join(data for _, data in seen)
    heard = START + len(request) * OCTET
    assert seen[0][0] >= heard + TURNAROUND
    assert seen[-1][0] == pytest.approx(heard + TURNAROUND + len(answer) * OCTET, abs=1e-6)
    assert line.next_wake() is None
    assert line.counters.busy == pytest.approx((len(request) + len(answer)) * OCTET)
    assert (line.counters.requests, line.counters.replies) == (1, 1)
    assert (line.counters.octets_in, line.counters.octets_out) == (len(request), len(answer))


def test_octets_appear_in_small_pieces_at_line_rate() -> None:
    line = make_line()
    line.receive_data(snrm(), START)
    seen = run(line, START + 10)
    assert len(seen) > 2
    start = seen[-1][0] - sum(len(data) for _, data in seen) * OCTET
    passed = 0
    for at, data in seen:
        passed += len(data)
        assert at == pytest.approx(start + passed * OCTET, abs=1e-6)
        assert len(data) <= 10


def test_a_late_look_shows_all_that_has_passed() -> None:
    line = make_line()
    line.receive_data(snrm(), START)
    line.transmit(START + len(snrm()) * OCTET, NOW)
    data = line.transmit(START + 5, NOW)
    assert data[0] == data[-1] == 0x7E
    assert line.transmit(START + 6, NOW) == b""


def test_requests_written_together_pass_one_after_the_other() -> None:
    line = make_line()
    request = snrm()
    for part in (request[:10], request[10:]):
        line.receive_data(part, START)
    seen = run(line, START + 10)
    length = len(request) + sum(len(data) for _, data in seen)
    assert seen[-1][0] == pytest.approx(START + length * OCTET + TURNAROUND, abs=1e-6)


def test_only_the_meter_that_is_asked_answers() -> None:
    line = make_line()
    for number in (17, 18, 99):
        line.receive_data(snrm(number), START + number)
    answers = frames(run(line, START + 1000))
    assert [(frame.source, frame.kind) for frame in answers] == [(address(17), UA), (address(18), UA)]


def test_a_request_into_an_answer_is_lost_and_spoils_it() -> None:
    line = make_line()
    line.receive_data(snrm(), START)
    during = START + len(snrm()) * OCTET + TURNAROUND + 5 * OCTET
    seen = run(line, during)
    line.receive_data(snrm(18), during)
    assert frames(seen + run(line, START + 10)) == []
    assert line.counters.collisions == 1


def test_a_silent_meter_says_nothing_until_it_is_switched_on() -> None:
    line = make_line(faults=Faults(silent=frozenset({"M17"})))
    line.receive_data(snrm(17), START)
    line.receive_data(snrm(18), START + 1)
    assert [frame.source for frame in frames(run(line, START + 5))] == [address(18)]
    line.faults = replace(line.faults, silent=frozenset())
    line.receive_data(snrm(17), START + 10)
    assert len(frames(run(line, START + 15))) == 1


def test_lost_frames_are_lost_both_ways() -> None:
    line = make_line(faults=Faults(frame_loss=0.2))
    for second in range(500):
        line.receive_data(snrm(), START + second)
    answers = frames(run(line, START + 1000))
    assert 280 < len(answers) < 360
    assert line.counters.lost == 500 - len(answers)


def test_a_late_answer_comes_after_its_time() -> None:
    line = make_line(faults=Faults(late=1.0, late_by=3.0))
    line.receive_data(snrm(), START)
    seen = run(line, START + 10)
    assert seen[0][0] > START + 3
    assert len(frames(seen)) == line.counters.late == 1


def test_a_late_answer_can_meet_the_next_request() -> None:
    line = make_line(faults=Faults(late=1.0, late_by=3.0))
    line.receive_data(snrm(), START)
    assert run(line, START + 3) == []
    line.faults = Faults()
    line.receive_data(snrm(18), START + 3.05)
    assert frames(run(line, START + 10)) == []
    assert line.counters.collisions == 1


def test_byte_errors_spoil_frames_both_ways() -> None:
    line = make_line(faults=Faults(byte_errors=0.005))
    for second in range(300):
        line.receive_data(snrm(), START + second)
    answers = frames(run(line, START + 1000))
    assert line.counters.requests < 295
    assert 100 < len(answers) < line.counters.requests


def test_a_misaddressed_answer_bears_a_neighbours_address() -> None:
    line = make_line(faults=Faults(misaddressed=1.0))
    line.receive_data(snrm(), START)
    (answer,) = frames(run(line, START + 10))
    assert answer.source in {address(18), address(19)}
    assert line.counters.misaddressed == 1


def test_chatter_precedes_the_answer_and_takes_its_time() -> None:
    line = make_line(faults=Faults(chatter=1.0))
    line.receive_data(snrm(), START)
    seen = run(line, START + 10)
    octets = sum(len(data) for _, data in seen)
    assert frames(seen)[-1].source == address(17)
    assert octets > len(snrm())
    assert seen[-1][0] == pytest.approx(START + (len(snrm()) + octets) * OCTET + TURNAROUND, abs=1e-6)
    assert line.counters.chatter == 1


def test_an_adapter_that_hears_itself_hears_its_request_before_the_answer() -> None:
    line = make_line(faults=Faults(echo=True))
    line.receive_data(snrm(), START)
    seen = run(line, START + 10)
    assert seen[0][0] == pytest.approx(START + len(snrm()) * OCTET)
    assert seen[0][1] == snrm()
    assert [frame.kind for frame in frames(seen)] == [SNRM, UA]
    # they are on the line once
    assert line.counters.octets_out == sum(len(data) for _, data in seen[1:])


def test_a_master_that_never_listens_loses_what_it_writes() -> None:
    line = make_line()
    for _ in range(MAX_BACKLOG // 1000 + 1):
        line.receive_data(bytes(1000), START)
    assert line.counters.overruns == 1
    assert line.counters.octets_in == MAX_BACKLOG // 1000 * 1000


def test_answers_that_wait_are_bounded() -> None:
    line = make_line(faults=Faults(late=1.0, late_by=100_000.0))
    for second in range(MAX_PENDING + 10):
        line.receive_data(snrm(), START + second)
    run(line, START + 1000)
    assert line.counters.overruns == 10
