"""The words of the services: what is asked of a meter and what it answers (IEC 62056-5-3, selections 62056-6-2).

They hold no octets; `apdu` encodes and decodes them. READ and WRITE belong to short names, the others to logical names;
their words are tuples, for few boxes have meters so old and all have to load them.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from dcu.dlms import axdr
from dcu.dlms.axdr import Typed
from dcu.model import Attribute

#: Items of one request or response with list: its count is one octet here, as in every meter known to us.
MAX_LIST: Final = 127

#: Data-Access-Result, and Action-Result, which shares its numbers: what the meter says when it gives no value.
ACCESS_RESULTS: Final = {
    0: "success",
    1: "hardware fault",
    2: "temporary failure",
    3: "read-write denied",
    4: "object undefined",
    9: "object class inconsistent",
    11: "object unavailable",
    12: "type unmatched",
    13: "scope of access violated",
    14: "data block unavailable",
    15: "long get or action aborted",
    16: "no long get or action in progress",
    17: "long set aborted",
    18: "no long set in progress",
    19: "data block number invalid",
    250: "other reason",
}
OTHER_REASON: Final = 250
_SERVICE_ERRORS: Final = {
    1: "operation not possible",
    2: "service not supported",
    3: "other reason",
    4: "PDU too long",
    5: "deciphering error",
    6: "invocation counter error",
}
_PROTECTION_ERRORS: Final = {5, 6}
_INITIATE: Final = 1


@dataclass(frozen=True, slots=True)
class AccessError:
    """A result that is no value, with the code the meter gave for it."""

    code: int

    def __str__(self) -> str:
        return ACCESS_RESULTS.get(self.code, f"access result {self.code}")


@dataclass(frozen=True, slots=True)
class UnservedError(AccessError):
    """In place of a result: the meter refused the request for it as a whole, with an APDU of its own for that.

    Said without protection, and in passing for all we know; `reason` is ours. The code is that of "other reason".
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Selection:
    """Selective access: which `selector` of the attribute, and its parameter (Typed; decoded: the plain value)."""

    selector: int
    parameter: Any


def by_range(column: Attribute, start: Typed, end: Typed, data_index: int = 0) -> Selection:
    """Select rows whose `column` lies in `start`..`end`, both inclusive, all columns (4.3.6, range_descriptor)."""
    restricting = axdr.structure(
        axdr.u16(column.class_id), axdr.octets(column.name), axdr.i8(column.index), axdr.u16(data_index)
    )
    # no selected columns means all of them: a partial row would not fit the columns we know
    return Selection(1, axdr.structure(restricting, start, end, axdr.array()))


def by_entry(first: int, last: int = 0, first_column: int = 1, last_column: int = 0) -> Selection:
    """Select rows and columns by their numbers, counted from 1; 0 is the last there is (4.3.6, entry_descriptor)."""
    numbers = (axdr.u32(first), axdr.u32(last), axdr.u16(first_column), axdr.u16(last_column))
    return Selection(2, axdr.structure(*numbers))


@dataclass(frozen=True, slots=True)
class Get:
    """Read one attribute, or the part of it that `selection` names."""

    attribute: Attribute
    selection: Selection | None = None


@dataclass(frozen=True, slots=True)
class GetList:
    """Read up to MAX_LIST attributes in one exchange. Decoded, every item is a Get."""

    items: tuple[Attribute | Get, ...]


@dataclass(frozen=True, slots=True)
class GetNext:
    """Ask for the block after `block` of a long answer."""

    block: int


@dataclass(frozen=True, slots=True)
class Set:
    """Write one attribute or a selected part of it; `value` is Typed, or the plain value when decoded."""

    attribute: Attribute
    value: Any
    selection: Selection | None = None


@dataclass(frozen=True, slots=True)
class SetList:
    """Write up to MAX_LIST attributes in one exchange; one that is refused leaves the others."""

    items: tuple[Set, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """Invoke `method` of an object; `argument` is Typed or None, or the plain value when decoded."""

    class_id: int
    name: bytes
    method: int
    argument: Any = None


@dataclass(frozen=True, slots=True)
class Block:
    """Block `number` (from 1) of what one APDU cannot hold: octets of one Data, or of the values of a SetList."""

    number: int
    last: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class FirstBlock:
    """A request too long for one APDU, with the first block of its values; decoded, the request has none."""

    request: Set | SetList | Action
    block: Block


@dataclass(frozen=True, slots=True)
class SetBlock:
    """A further block of a long SET."""

    block: Block


@dataclass(frozen=True, slots=True)
class ActionBlock:
    """A further block of a long ACTION, or (as an answer) a block of what a method returns."""

    block: Block


@dataclass(frozen=True, slots=True)
class ActionNext:
    """Block `block` was taken, the next may come: asks for more of an answer, or (as an answer) of a request."""

    block: int


class Variable(NamedTuple):
    """One attribute by its short name (0..0xFFFF), or the part of it that `selection` names."""

    name: int
    selection: Selection | None = None


class Read(NamedTuple):
    """Read up to MAX_LIST attributes by their short names."""

    items: tuple[Variable, ...]


class ReadNext(NamedTuple):
    """Ask for the block after `block` of a long answer to a Read."""

    block: int


class Write(NamedTuple):
    """Write attributes by their short names: pairs of name and value (Typed, or the plain value when decoded)."""

    items: tuple[tuple[Variable, Any], ...]


ShortRequest = Read | ReadNext | Write
Request = (
    Get | GetList | GetNext | Set | SetList | Action | FirstBlock | SetBlock | ActionBlock | ActionNext | ShortRequest
)


@dataclass(frozen=True, slots=True)
class GetResponse:
    """The value of one attribute (Typed to encode, plain when decoded) or the AccessError in its place."""

    result: Any


@dataclass(frozen=True, slots=True)
class GetListResponse:
    """One result for each item asked, in order."""

    results: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class GetBlock:
    """Block `number` (from 1) of a long answer: octets of one Data, or of `encode_results` for a list."""

    number: int
    last: bool
    content: bytes | AccessError


@dataclass(frozen=True, slots=True)
class SetResponse:
    """`error` is None when the value was taken."""

    error: AccessError | None = None


@dataclass(frozen=True, slots=True)
class SetListResponse:
    """For each item in order: None when its value was taken, or why not."""

    errors: tuple[AccessError | None, ...]


@dataclass(frozen=True, slots=True)
class SetNext:
    """Block `block` of a long SET was taken, the next may come."""

    block: int


@dataclass(frozen=True, slots=True)
class SetEnd:
    """Block `block` was the last of a long SET (or the meter wants no more): the result of the whole."""

    response: SetResponse | SetListResponse
    block: int


@dataclass(frozen=True, slots=True)
class ActionResponse:
    """`error` is None when the method was carried out; `result` is what it returned, if anything."""

    error: AccessError | None = None
    result: Any = None


class ReadResponse(NamedTuple):
    """One result for each variable asked, in order: its value (Typed to encode) or the AccessError in its place."""

    results: tuple[Any, ...]


class ReadBlock(NamedTuple):
    """A block of a long answer to a Read, as Data-Block-Result has it; its number has two octets."""

    block: Block


class WriteResponse(NamedTuple):
    """For each variable in order: None when its value was taken, or why not."""

    errors: tuple[AccessError | None, ...]


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The meter could not treat the request at all. `counter`: the invocation counter it expects, when it says so."""

    state: int
    service: int
    counter: int | None = None

    @property
    def ends(self) -> bool:
        """Whether the meter knows no association, or one whose protection it does not believe."""
        return (self.state, self.service) == (1, 1) or self.service in _PROTECTION_ERRORS

    def __str__(self) -> str:
        return f"exception: {_SERVICE_ERRORS.get(self.service, self.service)} (state error {self.state})"


@dataclass(frozen=True, slots=True)
class ConfirmedServiceError:
    """The meter refused an InitiateRequest (service 1), read (5) or write (6): error category and value."""

    service: int
    category: int
    value: int

    @property
    def ends(self) -> bool:
        """Whether it was the association that the meter refused."""
        return self.service == _INITIATE

    def __str__(self) -> str:
        return f"confirmed service error {self.service}.{self.category}.{self.value}"


ServiceError = ExceptionResponse | ConfirmedServiceError
#: What answers a GET, a SET and an ACTION, and what READ and WRITE.
GetAnswer = GetResponse | GetListResponse | GetBlock
SetAnswer = SetResponse | SetListResponse | SetNext | SetEnd
ActionAnswer = ActionResponse | ActionBlock | ActionNext
ShortAnswer = ReadResponse | ReadBlock | WriteResponse
Answer = GetAnswer | SetAnswer | ActionAnswer | ShortAnswer
