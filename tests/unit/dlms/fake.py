"""A link without framing and a meter behind it that answers by the book, or as a test makes it lie."""

from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

from dcu.dlms import axdr
from dcu.dlms.acse import AARQ, AUTHENTICATION_REQUIRED, RLRE, RLRQ, Aare, Aarq, Initiate, encode_release
from dcu.dlms.apdu import decode_request, encode_response
from dcu.dlms.association import CONFORMANCE, Association, Event
from dcu.dlms.link import NEED_DATA, ApduReceived, LinkEvent, NeedData, Transmit
from dcu.dlms.security import GLO, Cipher
from dcu.dlms.services import (
    Action,
    ActionResponse,
    Answer,
    Get,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Request,
    ServiceError,
    Set,
    SetResponse,
)
from dcu.model import Access, Authentication

from .gurux import KEYS, TITLE

METER_TITLE = b"MTR00001"
STOC = b"meter challenge!"
CTOS = b"client challenge"

PUBLIC = Access("public", 16)
READER = Access("reader", 2, Authentication.LLS)
PROVEN = Access("proven", 1, Authentication.HLS_GMAC)
MANAGEMENT = Access("management", 1, Authentication.HLS_GMAC, ciphered=True)
SEALED = Access("sealed", 2, Authentication.LLS, ciphered=True)

Lie = Callable[["FakeMeter", bytes], bytes]


class BareLink:
    """A `Link` that carries bare APDUs, one per `receive_data`."""

    run: ClassVar[int] = 1

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def open(self) -> bytes:
        return b""

    def send(self, apdu: bytes) -> bytes:
        return apdu

    def receive_data(self, data: bytes) -> None:
        self.received.append(data)

    def next_event(self) -> LinkEvent:
        return ApduReceived(self.received.pop(0)) if self.received else NEED_DATA

    @property
    def hearing(self) -> bool:
        return False

    def retry(self) -> None:
        return None

    def resume(self) -> bytes:
        return b""

    def rest(self) -> bool:
        return True

    def close(self) -> bytes:
        return b""


class FakeMeter:
    """Answers APDUs. `aare` and `answer` may be replaced to change what it says before it is protected."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.cipher = Cipher(KEYS, METER_TITLE, count(1000).__next__)
        self.cipher.peer = TITLE
        self.aare: Callable[[Aare], Aare] = lambda aare: aare
        self.answer: Callable[[Request], Answer | ServiceError] = by_the_book
        self.blocks: list[GetBlock] = []
        self.requests: list[Request] = []
        self.ctos = b""

    def reply(self, apdu: bytes) -> bytes:
        if apdu[0] == AARQ:
            return self.associate(Aarq.from_bytes(apdu))
        if apdu[0] == RLRQ:
            return encode_release(RLRE)
        plain = self.cipher.unprotect(apdu) if apdu[0] in GLO.values() else apdu
        request, invoke = decode_request(plain)
        self.requests.append(request)
        return self.protect(encode_response(self.respond(request), invoke))

    def associate(self, aarq: Aarq) -> bytes:
        self.ctos = aarq.secret
        hls = aarq.authentication is Authentication.HLS_GMAC
        information = Initiate(CONFORMANCE, 1024).response()
        aare = Aare(
            information=self.cipher.protect(information) if aarq.ciphered else information,
            diagnostic=AUTHENTICATION_REQUIRED if hls else 0,
            ciphered=aarq.ciphered,
            authentication=aarq.authentication,
            title=METER_TITLE if hls or aarq.ciphered else b"",
            secret=STOC if hls else b"",
        )
        return self.aare(aare).to_bytes()

    def protect(self, apdu: bytes) -> bytes:
        return self.cipher.protect(apdu) if self.access.ciphered and apdu[0] in GLO else apdu

    def respond(self, request: Request) -> Answer | ServiceError:
        if isinstance(request, Action) and request.class_id == 15:
            self.cipher.check_gmac(request.argument, STOC)
            return ActionResponse(None, axdr.octets(self.cipher.gmac(self.ctos)))
        if self.blocks and isinstance(request, Get | GetList | GetNext):
            return self.blocks.pop(0)
        return self.answer(request)


def by_the_book(request: Request) -> Answer | ServiceError:
    match request:
        case Get():
            return GetResponse(axdr.u32(230))
        case GetList(items):
            return GetListResponse(tuple(axdr.u32(index) for index in range(len(items))))
        case Set():
            return SetResponse()
        case _:
            return ActionResponse()


class Conversation:
    """An association talking to a fake meter until it has nothing more to say."""

    def __init__(self, access: Access) -> None:
        self.meter = FakeMeter(access)
        self.counter = count(1)
        self.association = Association(
            BareLink(),
            access,
            KEYS,
            client_title=TITLE,
            take_counter=self.counter.__next__,
            challenge=lambda size: CTOS[:size],
        )
        self.lie: Lie = lambda _, apdu: apdu

    def exchange(self, data: bytes) -> Event:
        """Carry `data` to the meter and its answers back until the association has something to tell."""
        while True:
            self.association.receive_data(self.lie(self.meter, self.meter.reply(data)))
            event = self.association.next_event()
            if not isinstance(event, Transmit):
                return event
            data = event.data

    def connect(self) -> Event:
        return self.exchange(self.association.connect())

    def ask(self, request: Request) -> Any:
        event = self.exchange(self.association.send(request))
        assert not isinstance(event, NeedData)
        return event
