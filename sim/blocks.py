"""Block transfers of a simulated meter: a long request is taken piece by piece, a long answer is given so.

What a whole request does is decided in `sim.server`, which of the APDUs are protected as well.
"""

from collections.abc import Callable
from typing import Final

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance
from dcu.dlms.apdu import encode_response, encode_results
from dcu.dlms.general_blocks import GeneralBlock, GeneralGathering
from dcu.dlms.requests import decode_values, pair
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionBlock,
    ActionNext,
    ActionResponse,
    Answer,
    Block,
    ExceptionResponse,
    FirstBlock,
    GetBlock,
    GetListResponse,
    GetNext,
    GetResponse,
    ReadBlock,
    ReadNext,
    ReadResponse,
    Request,
    Set,
    SetBlock,
    SetEnd,
    SetList,
    SetListResponse,
    SetNext,
    SetResponse,
)
from dcu.dlms.transfer import Gathering
from dcu.errors import MeterError

#: Octets of an APDU that are not the block's content.
_OVERHEAD: Final = 14
#: Tag, control, both numbers and the length of a general block.
_GENERAL_OVERHEAD: Final = 9
#: General blocks of a request that a meter takes in a row.
_WINDOW: Final = 3
_TYPE_UNMATCHED: Final = AccessError(12)
_BLOCK_UNAVAILABLE: Final = AccessError(14)
_NO_LONG_ACTION: Final = AccessError(16)
_NO_LONG_SET: Final = AccessError(18)
_BLOCK_NUMBER_INVALID: Final = AccessError(19)

#: Carries out a whole request.
Serve = Callable[[Request], Answer | ExceptionResponse]


class Blocks:
    """The transfers of one association whose client takes APDUs of `limit` octets (0: any) and `agreed` to so much."""

    def __init__(self, limit: int, agreed: Conformance) -> None:
        self._limit = limit
        self._agreed = agreed
        self._target: Set | SetList | Action | None = None
        self._gathering = Gathering()
        self._rest = b""
        self._given = 0

    def respond(self, request: Request, serve: Serve) -> Answer | ExceptionResponse:
        """Return the answer to `request`, which `serve` gives once the whole of it is there."""
        match request:
            case GetNext() | ActionNext() | ReadNext():
                return self._following(request)
            case FirstBlock(target, block):
                self._target, self._gathering = target, Gathering()
                return self._gather(target, block, serve)
            case SetBlock(block) | ActionBlock(block):
                acting = isinstance(request, ActionBlock)
                if self._target is None or isinstance(self._target, Action) is not acting:
                    return _refusal(acting, block.number, _NO_LONG_ACTION if acting else _NO_LONG_SET)
                return self._gather(self._target, block, serve)
            case _:
                self._target = None
                return self._cut(serve(request))

    def _gather(self, target: Set | SetList | Action, block: Block, serve: Serve) -> Answer | ExceptionResponse:
        acting = isinstance(target, Action)
        try:
            content = self._gathering.add(block)
        except MeterError:
            self._target = None
            return _refusal(acting, block.number, _BLOCK_NUMBER_INVALID)
        if content is None:
            return ActionNext(block.number) if acting else SetNext(block.number)
        self._target = None
        try:
            request = _filled(target, content)
        except MeterError:
            return _refusal(acting, block.number, _TYPE_UNMATCHED)
        answer = serve(request)
        if isinstance(answer, SetResponse | SetListResponse):
            return SetEnd(answer, block.number)
        return self._cut(answer)

    def _cut(self, answer: Answer | ExceptionResponse) -> Answer | ExceptionResponse:
        """Return `answer`, or its first block when it is longer than the client takes."""
        # any new answer ends a transfer that the client gave up
        self._rest, self._given = b"", 0
        if not self._limit or len(encode_response(answer, 0)) <= self._limit:
            return answer
        match answer:
            case GetResponse(result) if not isinstance(result, AccessError):
                self._rest = axdr.encode(result)
            case GetListResponse(results):
                self._rest = encode_results(results)
            case ActionResponse(None, axdr.Typed() as result) if Conformance.BLOCK_TRANSFER_ACTION in self._agreed:
                self._rest = axdr.encode(result)
                return self._more_returned(0)
            case ReadResponse(results):
                single = len(results) == 1 and not isinstance(results[0], AccessError)
                self._rest = axdr.encode(results[0]) if single else encode_results(results)
                return self._more_read(0)
            case _:
                return answer
        return self._more(0)

    def _following(self, request: GetNext | ActionNext | ReadNext) -> Answer:
        match request:
            case GetNext(number):
                return self._more(number)
            case ActionNext(number):
                return self._more_returned(number)
            case ReadNext(number):
                return self._more_read(number)

    def _more(self, number: int) -> GetBlock:
        """Return the block after `number`, which the client says it has."""
        if not self._rest or Conformance.BLOCK_TRANSFER_GET not in self._agreed:
            return GetBlock(number, last=True, content=_BLOCK_UNAVAILABLE)
        if number != self._given:
            self._rest = b""
            return GetBlock(number, last=True, content=_BLOCK_NUMBER_INVALID)
        block = self._next()
        return GetBlock(block.number, block.last, block.content)

    def _more_read(self, number: int) -> ReadBlock | ReadResponse:
        if not self._rest or number != self._given or Conformance.BLOCK_TRANSFER_GET not in self._agreed:
            return ReadResponse((_BLOCK_UNAVAILABLE,))
        return ReadBlock(self._next())

    def _more_returned(self, number: int) -> ActionBlock | ActionResponse:
        if not self._rest or number != self._given:
            return ActionResponse(_BLOCK_UNAVAILABLE)
        return ActionBlock(self._next())

    def _next(self) -> Block:
        size = max(self._limit - _OVERHEAD, 1)
        content, self._rest = self._rest[:size], self._rest[size:]
        self._given += 1
        return Block(self._given, not self._rest, content)


class GeneralBlocks:
    """General blocks of both directions, for a client that agreed to them and takes APDUs of `limit` octets (0: any).

    One block of an answer at a time, whatever the client's window: a meter may send fewer than it is allowed to.
    """

    def __init__(self, limit: int) -> None:
        self._size = max(limit - _GENERAL_OVERHEAD, 1)
        self._limit = limit
        self._apdu = b""
        self._heard = 0
        self._gathering = GeneralGathering(_WINDOW)

    def take(self, apdu: bytes) -> tuple[bytes | None, bytes]:
        """Return the whole request once its last block is there, else what to answer: b"" while the client streams.

        MeterError for a block that is none.
        """
        block = GeneralBlock.from_bytes(apdu)
        if not self._limit:
            raise MeterError("general blocks were not agreed")
        self._heard = block.number
        if not block.content:
            return None, self._more(block.acknowledged)
        if block.number == 1:
            self._gathering = GeneralGathering(_WINDOW)
        return self._gathering.take(apdu)

    def cut(self, apdu: bytes) -> bytes:
        """Return `apdu`, or its first block when it is longer than the client takes."""
        self._apdu = b""
        if not self._limit or len(apdu) <= self._limit:
            return apdu
        self._apdu = apdu
        return self._block(0)

    def _more(self, acknowledged: int) -> bytes:
        """Return the block after those that the client has."""
        if acknowledged * self._size >= len(self._apdu):
            raise MeterError(f"there is no general block {acknowledged + 1}")
        return self._block(acknowledged)

    def _block(self, sent: int) -> bytes:
        start, end = sent * self._size, (sent + 1) * self._size
        return GeneralBlock(sent + 1, self._heard, self._apdu[start:end], last=end >= len(self._apdu)).to_bytes()


def _filled(target: Set | SetList | Action, content: bytes) -> Request:
    """Return `target` with the values that its blocks held; MeterError when they are malformed."""
    match target:
        case Set(attribute, _, selection):
            return Set(attribute, axdr.decode_all(content), selection)
        case SetList(items):
            return pair(items, decode_values(content))
        case Action(class_id, name, method):
            return Action(class_id, name, method, axdr.decode_all(content))


def _refusal(acting: bool, number: int, error: AccessError) -> Answer:  # noqa: FBT001 - one of two services
    return ActionResponse(error) if acting else SetEnd(SetResponse(error), number)
