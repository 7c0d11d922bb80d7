"""Frames and packets told to a person: whole, damaged, in segments, and whatever stands between them."""

import re
from pathlib import Path

import pytest

from dcu.dlms import hdlc
from dcu.dlms.explain import MAX_INPUT, explain
from dcu.dlms.hdlc import ServerAddress, encode_frame
from dcu.dlms.wrapper import encode_packet
from dcu.model import Keys

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "transcripts").glob("*.txt"))
SERVER, CLIENT = ServerAddress(1, 17).to_bytes(), hdlc.client_address(2)
GET = bytes.fromhex("c001c1 0008 0000010000ff 02 00")
INFORMATION = hdlc.control(hdlc.I)


def spoken(transcript: Path) -> bytes:
    return bytes.fromhex("".join(re.findall(r"^[<>] (.*)$", transcript.read_text(), re.MULTILINE)))


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_every_transcript_can_be_told(transcript: Path) -> None:
    assert "cannot be understood: no APDU" not in explain(spoken(transcript)).text


def test_a_frame_with_its_addresses_and_check_sequences() -> None:
    frame = encode_frame(SERVER, CLIENT, hdlc.control(hdlc.SNRM), hdlc.Parameters(transmit=200, receive=300).to_bytes())
    explanation = explain(frame)
    assert explanation.good
    assert explanation.text.splitlines()[:4] == [
        f"HDLC frame of {len(frame) - 2} octets",
        "  to logical device 1, physical device 17 (02 23)",
        "  from 2 (05)",
        "  control 93: SNRM (set normal response mode), poll/final",
    ]
    assert "200 to send, 300 to receive; window 1 to send, 1 to receive" in explanation.text
    assert re.search(r"HCS .. ..: good\n  FCS .. ..: good", explanation.text)


@pytest.mark.parametrize(("at", "name"), [(-3, "FCS"), (-6, "FCS"), (7, "HCS")])
def test_damage_is_named_and_nothing_damaged_interpreted(at: int, name: str) -> None:
    frame = bytearray(encode_frame(SERVER, CLIENT, INFORMATION, hdlc.LLC_COMMAND + GET))
    frame[at] ^= 0x04
    explanation = explain(bytes(frame))
    assert not explanation.good
    assert re.search(f"! {name} .*: bad, the octets before it give", explanation.text)
    assert "get-request" not in explanation.text
    assert "information e6 e6 00 c0" in explanation.text


def test_segments_are_put_together() -> None:
    payload = hdlc.LLC_COMMAND + GET
    first = encode_frame(SERVER, CLIENT, INFORMATION, payload[:5], segmented=True)
    ready = encode_frame(CLIENT, SERVER, hdlc.control(hdlc.RR, receive=1))
    last = encode_frame(SERVER, CLIENT, hdlc.control(hdlc.I, send=1), payload[5:])
    explanation = explain(first + ready + last)
    assert explanation.good
    assert "segment, others follow: e6 e6 00 c0 01" in explanation.text
    assert "control 31: RR (receive ready), N(R) 1, poll/final" in explanation.text
    assert "class 8 Clock" in explanation.text
    assert "the rest is missing after e6 e6 00 c0 01" in explain(first).text


def test_noise_between_frames_costs_only_itself() -> None:
    frame = encode_frame(SERVER, CLIENT, hdlc.control(hdlc.DISC))
    explanation = explain(b"\xff\x03" + frame + b"\x55" + frame[:4] + frame)
    assert explanation.text.count("DISC (disconnect)") == 2
    assert "no frame: ff 03" in explanation.text
    assert not explanation.good


def test_a_shared_flag_and_a_missing_one() -> None:
    frame = encode_frame(SERVER, CLIENT, hdlc.control(hdlc.DISC))
    assert explain(frame + frame[1:]).text.count("DISC (disconnect)") == 2
    assert "no flag after the 8 octets" in explain(frame[:-1] + b"\x00").text


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("7e b007 0323 93 bfbe 7e", "frame format 0xb007 is not of type 3"),
        ("7e a00b 0202020202 05 93 0000 7e", "address of more than 4 octets"),
        ("7e a009 020203 05 93 0000 7e", "address of 3 octets"),
        ("0001 0010 0001 0001 0e 0002 0010 0001 0000", "wrapper version 2"),
    ],
)
def test_what_is_no_frame(octets: str, reason: str) -> None:
    explanation = explain(bytes.fromhex(octets))
    assert not explanation.good
    assert reason in explanation.text


def test_a_frame_that_carries_no_apdu() -> None:
    refused = encode_frame(CLIENT, SERVER, hdlc.control(hdlc.FRMR), b"\x10\x00\x01")
    assert explain(refused).good
    assert "information 10 00 01" in explain(refused).text
    unknown = encode_frame(CLIENT, SERVER, 0xEF)
    assert "control ef: unknown" in explain(unknown).text


def test_conversations_have_an_end() -> None:
    frames = [
        encode_frame(ServerAddress(1, number).to_bytes(), CLIENT, INFORMATION, b"\xe6", segmented=True)
        for number in range(70)
    ]
    assert "segments of more than 64 conversations" in explain(b"".join(frames)).text


def test_packets() -> None:
    explanation = explain(encode_packet(16, 1, GET) + encode_packet(1, 16, b"\xd8\x01\x02"))
    assert explanation.good
    assert "WRAPPER packet: from wPort 16 to wPort 1, 13 octets\n  get-request normal" in explanation.text
    assert "WRAPPER packet: from wPort 1 to wPort 16, 3 octets\n  exception-response" in explanation.text


def test_a_packet_cut_short() -> None:
    explanation = explain(encode_packet(16, 1, GET)[:-2])
    assert "! cannot be understood: truncated: 13 octets wanted, 11 left" in explanation.text


def test_bare_data_and_the_flag_inside_an_apdu() -> None:
    assert explain(b"\x02\x01\x11\x7e").text == "structure of 1\n  unsigned 126"
    assert explain(bytes.fromhex("c401c100117e")).text.endswith("value: unsigned 126")
    # 0x06 is a write-request as well; what is whole as Data is Data
    assert explain(b"\x06\x00\x00\x00\x7e").text == "double-long-unsigned 126"


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x7e", bytes(MAX_INPUT + 1), b"\x7e" * 100, b"\xe6\xe6\x00"])
def test_what_is_nothing_is_said_to_be_nothing(data: bytes) -> None:
    explanation = explain(data)
    assert "Traceback" not in explanation.text
    assert explanation.good == (not data.strip(b"\x7e") and bool(data))


def test_nothing_is_deciphered_without_keys_and_nothing_secret_is_told() -> None:
    transcript = next(path for path in TRANSCRIPTS if path.stem == "hdlc-hls-gmac-ciphered")
    keys = Keys(b"", bytes(range(16)), bytes(range(0xD0, 0xE0)))
    assert "not verified, no encryption key" in explain(spoken(transcript)).text
    opened = explain(spoken(transcript), keys)
    assert opened.good
    assert "long-unsigned 2301" in opened.text
    assert "not verified" not in opened.text
    assert keys.encryption_key.hex(" ") not in opened.text
