"""One request under way: the blocks that its answer comes in, and whether the answer is one at all (IEC 62056-5-3).

It knows no octets of APDUs, no protection and no invoke-ids: those are `apdu`'s, `security`'s and `association`'s.
"""

from typing import Any

from dcu.dlms import axdr
from dcu.dlms.apdu import decode_results
from dcu.dlms.services import (
    AccessError,
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
    Set,
    SetResponse,
)
from dcu.errors import MeterError


class Transfer:
    """The exchange that `request` begins."""

    __slots__ = ("_block", "_blocks", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._blocks = bytearray()
        self._block = 0

    def take(self, answer: Answer) -> Request | list[Any | AccessError]:
        """Return what to ask next, or the results; MeterError when `answer` does not answer what was asked."""
        match self._request, answer:
            case (Get(), GetResponse(result)):
                return [result]
            case (GetList(items), GetListResponse(results)) if len(items) == len(results):
                return list(results)
            case (Get() | GetList(), GetBlock()):
                return self._collect(answer)
            case (Set(), SetResponse(error)):
                return [error]
            case (Action(), ActionResponse(error, result)):
                return [error or result]
            case _:
                raise MeterError(f"{type(answer).__name__} does not answer {type(self._request).__name__}")

    def _collect(self, block: GetBlock) -> GetNext | list[Any | AccessError]:
        """Add `block` and ask for the next, or decode the whole (service-specific block transfer)."""
        if isinstance(block.content, AccessError):
            return [block.content] * self._count()
        self._block += 1
        self._blocks += block.content
        if block.number != self._block or len(self._blocks) > axdr.MAX_OCTETS or not (block.content or block.last):
            raise MeterError(f"block {block.number} of {len(block.content)} octets, expected block {self._block}")
        return self._decode_blocks() if block.last else GetNext(block.number)

    def _count(self) -> int:
        return len(self._request.items) if isinstance(self._request, GetList) else 1

    def _decode_blocks(self) -> list[Any | AccessError]:
        data = bytes(self._blocks)
        if isinstance(self._request, Get):
            return [axdr.decode_all(data)]
        results, end = decode_results(data)
        if end != len(data) or len(results) != self._count():
            raise MeterError(f"{len(results)} results for a list of {self._count()}")
        return list(results)
