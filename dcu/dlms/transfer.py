"""One request under way: the blocks it is sent in, the blocks its answer comes in, and whether that answers it at all.

It knows no octets of APDUs, no protection and no invoke-ids: those are `apdu`'s, `security`'s and `association`'s.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance, Initiate
from dcu.dlms.apdu import decode_results, decode_returned, encode_request
from dcu.dlms.requests import encode_values
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionAnswer,
    ActionBlock,
    ActionNext,
    ActionResponse,
    Answer,
    Block,
    FirstBlock,
    Get,
    GetAnswer,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Read,
    ReadBlock,
    ReadNext,
    ReadResponse,
    Request,
    Set,
    SetAnswer,
    SetBlock,
    SetEnd,
    SetList,
    SetListResponse,
    SetNext,
    SetResponse,
    ShortAnswer,
    Write,
    WriteResponse,
)
from dcu.errors import MeterError

#: Service, form, invoke-id, last-block, block-number and the length of the raw data: what is no content in a block.
_BLOCK_HEAD: Final = 3 + 5 + 5

Results = list[Any]


class Gathering:
    """What comes in blocks: numbered from 1, none left out or repeated, all of them within `axdr.MAX_OCTETS`."""

    __slots__ = ("_content", "_number")

    def __init__(self) -> None:
        self._content = bytearray()
        self._number = 0

    def add(self, block: Block) -> bytes | None:
        """Return the whole once `block` was the last; MeterError when `block` is not the next one."""
        self._number += 1
        self._content += block.content
        # a block of nothing that is not the last would let a meter keep us for ever
        if block.number != self._number or len(self._content) > axdr.MAX_OCTETS or not (block.content or block.last):
            raise MeterError(f"block {block.number} of {len(block.content)} octets, expected block {self._number}")
        return bytes(self._content) if block.last else None


class Transfer:
    """The exchange that `request` begins with a meter that `agreed` to so much; `overhead` octets are protection's.

    `whole`: the request is not cut here, for general blocks carry what is too long.
    """

    __slots__ = ("_gathering", "_request", "_room", "_sent", "_unsent")

    def __init__(self, request: Request, agreed: Initiate, overhead: int = 0, *, whole: bool = False) -> None:
        self._request = request
        cut = agreed.max_pdu and not whole and _blocks_agreed(request, agreed)
        self._room = agreed.max_pdu - overhead if cut else 0
        self._gathering = Gathering()
        self._unsent: list[Block] = []
        self._sent = 0

    @property
    def changes(self) -> bool:
        """Whether the request may change the meter, once it is carried out."""
        return isinstance(self._request, Set | SetList | Action | Write)

    def first(self) -> Request:
        """Return what to send first: the request, or as much of it as one APDU of the meter's holds."""
        request = self._request
        if not self._room or not isinstance(request, Set | SetList | Action):
            return request
        values = encode_values(request)
        if not values or len(encode_request(request, 0)) <= self._room:
            return request
        bare = len(encode_request(FirstBlock(request, Block(1, last=False, content=b"")), 0)) - 1
        first, size = self._room - bare - 5, self._room - _BLOCK_HEAD
        if first < 0 or size < 1:
            raise MeterError(f"no block of the request fits into the {self._room} octets that the meter takes")
        self._unsent = list(_cut(values, first, size))
        return FirstBlock(request, self._next_block())

    def take(self, answer: Answer) -> Request | Results:
        """Return what to ask next, or the results; MeterError when `answer` does not answer what was asked."""
        results: Request | Results | None = None
        match self._request, answer:
            case (Get() | GetList(), GetResponse() | GetListResponse() | GetBlock()):
                results = self._got(answer)
            case (Set() | SetList(), SetResponse() | SetListResponse() | SetNext() | SetEnd()):
                results = self._set(answer)
            case (Action(), ActionResponse() | ActionBlock() | ActionNext()):
                results = self._acted(answer)
            case (Read() | Write(), ReadResponse() | ReadBlock() | WriteResponse()):
                results = self._by_short_name(answer)
        if results is None:
            raise MeterError(f"{type(answer).__name__} does not answer {type(self._request).__name__}")
        return results

    def _got(self, answer: GetAnswer) -> Request | Results | None:
        match self._request, answer:
            case (Get(), GetResponse(result)):
                return [result]
            case (GetList(items), GetListResponse(results)) if len(items) == len(results):
                return list(results)
            case (_, GetBlock(number, last, content)):
                # in the place of a block: the whole has failed
                if isinstance(content, AccessError):
                    return [content] * self._count()
                whole = self._gathering.add(Block(number, last, content))
                return GetNext(number) if whole is None else self._decode(whole)
        return None

    def _set(self, answer: SetAnswer) -> Request | Results | None:
        match self._request, answer:
            case (_, SetNext(number)):
                self._check_sent(number)
                return SetBlock(self._next_block())
            case (_, SetEnd(response, number)) if number == self._sent:
                return self._set(response)
            case (Set(), SetResponse(error)):
                return self._all_sent([error])
            case (SetList(items), SetListResponse(errors)) if len(items) == len(errors):
                return self._all_sent(list(errors))
            case (SetList(items), SetResponse(AccessError() as error)):
                # the whole was refused before its items were looked at
                return [error] * len(items)
        return None

    def _acted(self, answer: ActionAnswer) -> Request | Results | None:
        match answer:
            case ActionNext(number):
                self._check_sent(number)
                return ActionBlock(self._next_block())
            case ActionBlock(block):
                self._all_sent([None])
                whole = self._gathering.add(block)
                return ActionNext(block.number) if whole is None else [decode_returned(whole)]
            case ActionResponse(error, result):
                return self._all_sent([error or result])

    def _by_short_name(self, answer: ShortAnswer) -> Request | Results | None:
        match self._request, answer:
            case (Read(items), ReadResponse(results)) if len(items) == len(results):
                return list(results)
            case (Write(items), WriteResponse(errors)) if len(items) == len(errors):
                return list(errors)
            case (Read(items), ReadBlock(block)):
                whole = self._gathering.add(block)
                return ReadNext(block.number) if whole is None else _decode_read(whole, len(items))
        return None

    def _next_block(self) -> Block:
        self._sent += 1
        return self._unsent.pop(0)

    def _check_sent(self, number: int) -> None:
        if not self._unsent or number != self._sent:
            raise MeterError(f"the meter asks for the block after {number}, {self._sent} were sent")

    def _all_sent(self, results: Results) -> Results:
        """Return `results`, which may be anything but errors only when the meter has the whole request."""
        if self._unsent and not all(isinstance(result, AccessError) for result in results):
            raise MeterError("the meter says it is done before it has the whole request")
        return results

    def _count(self) -> int:
        return len(self._request.items) if isinstance(self._request, GetList) else 1

    def _decode(self, whole: bytes) -> Results:
        if isinstance(self._request, Get):
            return [axdr.decode_all(whole)]
        return _decode_list(whole, self._count())


def _decode_read(whole: bytes, count: int) -> Results:
    """Return the results of a Read of `count` variables out of its blocks; MeterError when there are not as many.

    Of a single variable meters cut the Data itself as well as the list of one result: either is taken. No Data but an
    array of one or no elements begins like such a list, and that does not come in blocks.
    """
    if count == 1:
        with suppress(MeterError):
            return [decode_returned(whole)]
    return _decode_list(whole, count)


def _decode_list(whole: bytes, count: int) -> Results:
    results, end = decode_results(whole)
    if end != len(whole) or len(results) != count:
        raise MeterError(f"{len(results)} results for a list of {count}")
    return list(results)


def _blocks_agreed(request: Request, agreed: Initiate) -> bool:
    needed = Conformance.BLOCK_TRANSFER_ACTION if isinstance(request, Action) else Conformance.BLOCK_TRANSFER_SET
    return needed in agreed.conformance


def _cut(values: bytes, first: int, size: int) -> Iterator[Block]:
    """Cut `values` into a block of `first` octets (0: an empty one) and others of `size`."""
    starts = range(first, len(values), size)
    yield Block(1, last=not starts, content=values[:first])
    for number, start in enumerate(starts, 2):
        yield Block(number, last=start + size >= len(values), content=values[start : start + size])
