"""Everything in `dcu.dlms` that meets the line, each as a function of octets; and what it costs, in time and memory.

Which octets, and how much of either is too much, is in the tests.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from time import thread_time
from typing import Final

import pytest

from dcu.dlms import apdu, axdr, cosem, hdlc, rare
from dcu.dlms.acse import Aare, Aarq, Conformance, Initiate
from dcu.dlms.association import SHORT_CONFORMANCE, Association
from dcu.dlms.explain import explain
from dcu.dlms.general_ciphering import SCHEMES, AgreedKey, GeneralHeader, WrappedKey
from dcu.dlms.hdlc import FrameReader, Parameters, ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import NeedData
from dcu.dlms.notifications import decode_notification
from dcu.dlms.rare_types import METHODS, TYPES
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.requests import decode_values
from dcu.dlms.security import GLO, Cipher
from dcu.dlms.services import Get, Read, Set
from dcu.dlms.shapes import ANY
from dcu.dlms.short_names import OBJECT_LIST, ShortNames
from dcu.dlms.wrapper import PacketReader, WrapperLink, encode_packet
from dcu.errors import CommandRejected, MeterError
from dcu.model import Access, Attribute, Authentication, Ciphering, Column, Keys, Referencing
from tests.unit.dlms.signing import both_keys

KEYS: Final = Keys(b"12345678", bytes(range(16)), bytes(range(0xD0, 0xE0)))
MASTERED: Final = replace(KEYS, master_key=bytes(range(0x40, 0x50)))
AGREEING: Final = both_keys(1)[0]
CLIENT, METER = b"DCU00001", b"MTR00001"
PUBLIC: Final = Access("public")
SERVER: Final = ServerAddress(1, 17)
CLOCK: Final = Attribute(8, bytes((0, 0, 1, 0, 0, 255)))
LONG: Final = Set(Attribute(1, CLOCK.name), axdr.octets(bytes(400)))
#: What is written without gurux, whose import and speed are not this test's.
WRITTEN: Final = [key for key, kind in TYPES.items() if kind is not None]
COLUMNS: Final = (Column(8, CLOCK.name), *(Column(3, bytes((1, 0, group, 8, 0, 255))) for group in (1, 2, 3)))
ACCEPTED: Final = Aare(Initiate(Conformance(0x00521D), 1024).response()).to_bytes()
ACCEPTED_SHORT: Final = Aare(
    Initiate(SHORT_CONFORMANCE, 1024).response(Referencing.SN), referencing=Referencing.SN
).to_bytes()


def drained(link: HdlcLink | WrapperLink | Association) -> None:
    while not isinstance(link.next_event(), NeedData):
        pass


def frame_reader(octets: bytes) -> None:
    """In pieces of seven, a long one in twenty thousand: smaller ones than a frame either way."""
    reader = FrameReader()
    size = max(7, len(octets) // 20_000)
    for at in range(0, len(octets), size):
        reader.receive_data(octets[at : at + size])
        while reader.next_frame() is not None:
            pass


def parameters(octets: bytes) -> None:
    Parameters.from_bytes(octets)


def raw_link(octets: bytes) -> None:
    link = HdlcLink(2, SERVER)
    link.open()
    link.receive_data(octets)
    drained(link)


def good_frames(octets: bytes) -> None:
    """Frames whose check sequences agree, and nothing else: what the states of the link make of them."""
    link = HdlcLink(2, SERVER)
    link.open()
    client, server = hdlc.client_address(2), SERVER.to_bytes()
    link.receive_data(hdlc.encode_frame(client, server, hdlc.control(hdlc.UA)))
    drained(link)
    link.send(b"\xc0" * (octets[0] if octets else 1))
    for at in range(0, len(octets), 40):
        control, payload, segmented = octets[at], octets[at + 1 : at + 40], bool(octets[at] & 2)
        link.receive_data(hdlc.encode_frame(client, server, control, payload, segmented=segmented))
        drained(link)


def packets(octets: bytes) -> None:
    reader = PacketReader()
    with suppress(MeterError):
        for at in range(0, len(octets), 4096):
            reader.receive_data(octets[at : at + 4096])
            while reader.next_packet() is not None:
                pass
    reader = PacketReader()
    reader.receive_data(octets)
    while reader.next_packet() is not None:
        pass
    link = WrapperLink(16, 1)
    link.receive_data(octets)
    drained(link)


def data(octets: bytes) -> None:
    axdr.decode_all(octets)


def rows(octets: bytes) -> None:
    value = axdr.decode_all(octets)
    cosem.plain(value)
    with suppress(MeterError):
        cosem.profile_rows(value, COLUMNS, 900)
    with suppress(MeterError):
        cosem.decode_capture_objects(value)
    cosem.decode_scaler_unit(value)


def rare_objects(octets: bytes) -> None:
    value = axdr.decode_all(octets)
    for class_id, attributes in ATTRIBUTES.items():
        for index in attributes:
            with suppress(MeterError):
                rare.read(class_id, CLOCK.name, {index: value})


def written_objects(octets: bytes) -> None:
    """Plain forms that nobody meant, into an attribute and a method: the command is told, nothing else is raised."""
    value = ANY.plain(axdr.decode_all(octets))
    class_id, index = WRITTEN[sum(octets) % len(WRITTEN)]
    with suppress(CommandRejected):
        rare.encode(class_id, index, value)
    class_id, number = list(METHODS)[sum(octets) % len(METHODS)]
    with suppress(CommandRejected):
        rare.method(class_id, number, value)


def requests(octets: bytes) -> None:
    apdu.decode_request(octets)


def responses(octets: bytes) -> None:
    apdu.decode_response(octets)


def notifications(octets: bytes) -> None:
    decode_notification(octets)


def acse(octets: bytes) -> None:
    for read in (Aarq.from_bytes, Aare.from_bytes, Initiate.from_request, Initiate.from_response):
        with suppress(MeterError):
            read(octets)


def ciphered(octets: bytes) -> None:
    cipher = Cipher(KEYS, CLIENT, lambda: 1)
    cipher.peer = METER
    with suppress(MeterError):
        cipher.check_gmac(octets, b"challenge")
    cipher.unprotect(octets)


def general(octets: bytes) -> None:
    """General ciphering with any header, and under keys of which anything is said: wrapped ones, agreed ones."""
    cipher = Cipher(MASTERED, CLIENT, lambda: 1)
    cipher.peer = METER
    with suppress(MeterError):
        cipher.unprotect(b"\xdd" + octets, Ciphering.GENERAL)
    head = GeneralHeader(b"\x01", METER, CLIENT, key=WrappedKey(octets[:40] or b"\x00")).to_bytes()
    with suppress(MeterError):
        cipher.unprotect(b"\xdd" + head + bytes((len(octets[:100]),)) + octets[:100], Ciphering.GENERAL)
    for form, scheme in SCHEMES.items():
        cipher, transaction = asked(form)
        head = GeneralHeader(transaction, METER, CLIENT, key=AgreedKey(scheme, octets[:128])).to_bytes()
        with suppress(MeterError):
            cipher.unprotect(b"\xdd" + head + bytes((len(octets[:100]),)) + octets[:100], form)


@cache
def asked(form: Ciphering) -> tuple[Cipher, bytes]:
    """Who agrees on keys and has asked, and the transaction of that; it remembers nothing of what it refuses."""
    cipher = Cipher(AGREEING, CLIENT, lambda: 1, suite=1)
    cipher.peer = METER
    cipher.agree_by(SCHEMES[form])
    return cipher, cipher.protect(b"\xc0", form)[2:10]


def compact(octets: bytes) -> None:
    """A CompactData whose template and buffer are anybody's; the number of the template fits, so that it is read."""
    at = len(octets) // 2
    template, buffer = bytes((axdr.STRUCTURE, 2, axdr.UNSIGNED)) + octets[:at], b"\x01" + octets[at:]
    cosem.decode_compact_data(buffer, template, 1)


def values(octets: bytes) -> None:
    decode_values(octets)


def sealed(octets: bytes) -> None:
    """Whatever the meter says under good keys: its tag is right, its counter grows, its words are anybody's."""
    meter = Cipher(KEYS, METER, count(1).__next__)
    ours = Cipher(KEYS, CLIENT, lambda: 1)
    ours.peer = METER
    if octets[:1] and octets[0] in GLO:
        apdu.decode_response(ours.unprotect(meter.protect(octets)))


def association(octets: bytes) -> None:
    """An association without ciphering, which hears this in the place of the AARE, and in that of an answer."""
    with suppress(MeterError):
        answered(associating(), octets)
    talk = associating()
    answered(talk, ACCEPTED)
    talk.send(Get(CLOCK))
    answered(talk, octets)


def short_names(octets: bytes) -> None:
    """An association by short names, which hears this in the place of the AARE, of an answer, and of base names."""
    old = Access("old", 16, referencing=Referencing.SN)
    with suppress(MeterError):
        answered(associating(old), octets)
    with suppress(MeterError):
        ShortNames.from_value(axdr.decode_all(octets))
    talk = associating(old)
    answered(talk, ACCEPTED_SHORT)
    talk.send(Read((OBJECT_LIST,)))
    answered(talk, octets)


def short_blocks(octets: bytes) -> None:
    """Blocks of anything, in order and not, as the answer to a Read of one or two variables."""
    talk = associating(Access("old", 16, referencing=Referencing.SN))
    answered(talk, ACCEPTED_SHORT)
    talk.send(Read((OBJECT_LIST,) * (1 + len(octets) % 2)))
    parts = pieces(octets)
    for number, piece in enumerate(parts, 1):
        last = number == len(parts) or piece[0] == 0xFF
        answered(talk, bytes((0x0C, 1, 2, last)) + number.to_bytes(2) + axdr.encode_length(len(piece)) + piece)


def blocks(octets: bytes) -> None:
    """General blocks of anything, in order and not, as the answer to a GET."""
    talk = associating()
    answered(talk, Aare(Initiate(Conformance(0xFFFFFF), 1024).response()).to_bytes())
    talk.send(Get(CLOCK))
    parts = pieces(octets)
    for number, piece in enumerate(parts, 1):
        control = piece[0] & 0x40 if number < len(parts) else 0x80
        head = bytes((0xE0, control | 1)) + number.to_bytes(2) + bytes(2)
        answered(talk, head + axdr.encode_length(len(piece)) + piece)


def pieces(octets: bytes) -> list[bytes]:
    """Cut `octets` into small blocks, long ones into a thousand: no more of them would say anything new."""
    size = max(20, len(octets) // 1000)
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def sent_in_blocks(octets: bytes) -> None:
    """A long request in general blocks, to a meter that says anything meanwhile."""
    talk = associating()
    answered(talk, Aare(Initiate(Conformance(0xFFFFFF), 64).response()).to_bytes())
    talk.send(LONG)
    for at in range(0, len(octets), 8):
        answered(talk, b"\xe0" + octets[at : at + 5] + bytes((len(octets[at + 5 : at + 8]),)) + octets[at + 5 : at + 8])


def ciphered_association(octets: bytes) -> None:
    """An association under good keys with a meter that says anything, sealed or plain, once it was accepted."""
    meter = Cipher(KEYS, METER, count(1).__next__)
    meter.peer = CLIENT
    access = Access("reader", 16, Authentication.LLS, ciphered=True)
    talk = associating(access)
    initiate = meter.protect(Initiate(Conformance(0x00521D), 1024).response())
    answered(talk, Aare(initiate, ciphered=True, authentication=Authentication.LLS, title=METER).to_bytes())
    talk.send(Get(CLOCK))
    answered(talk, meter.protect(octets) if octets[:1] and octets[0] in GLO else octets)


def associating(access: Access = PUBLIC) -> Association:
    talk = Association(WrapperLink(16, 1), access, KEYS, client_title=CLIENT, take_counter=lambda: 1)
    talk.connect()
    return talk


def answered(talk: Association, answer: bytes) -> None:
    talk.receive_data(encode_packet(1, 16, answer[:0xFFFF]))  # as much as one can hold
    drained(talk)


def explained(octets: bytes) -> None:
    assert explain(octets, KEYS, METER).text


TARGETS: Final[list[tuple[Callable[[bytes], None], str]]] = [
    (written_objects, "rare data"),
    (general, "ciphered"),
    (sent_in_blocks, "apdus data"),
    (frame_reader, "frames packets"),
    (raw_link, "frames"),
    (good_frames, "frames apdus"),
    (parameters, "frames"),
    (packets, "packets"),
    (data, "data rare"),
    (rows, "data"),
    (rare_objects, "rare data"),
    (requests, "apdus short"),
    (responses, "apdus short"),
    (notifications, "apdus"),
    (acse, "acse"),
    (ciphered, "ciphered"),
    (compact, "data rare"),
    (values, "data"),
    (sealed, "apdus short"),
    (association, "apdus acse"),
    (blocks, "apdus data"),
    (ciphered_association, "apdus ciphered"),
    (short_names, "short acse data"),
    (short_blocks, "short data"),
    (explained, "frames packets apdus short acse ciphered data rare"),
]

#: Runs a test once for each of them.
by_target = pytest.mark.parametrize(("target", "kinds"), TARGETS, ids=[target.__name__ for target, _ in TARGETS])


def timed(target: Callable[[bytes], None], octets: bytes) -> float:
    """Return the seconds that `target` took; anything but MeterError fails, with the input in its words."""
    started = thread_time()
    try:
        with suppress(MeterError):
            target(octets)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} for {octets.hex()}") from error
    return thread_time() - started


def least() -> int:
    """Forget how large the process has been, and return how large it is (kB): earlier peaks must not hide new ones."""
    Path("/proc/self/clear_refs").write_text("5")
    return largest()


def largest() -> int:
    """Return the kilobytes that the process has been resident with at most since `least`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
