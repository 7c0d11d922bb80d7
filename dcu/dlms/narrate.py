"""Tells a person what an xDLMS or ACSE APDU says, octet by octet, whoever sent it (IEC 62056-5-3).

It judges nothing and keeps nothing: what an association believes is in `association`, ciphered APDUs are `explain`'s.
"""

from collections.abc import Callable
from typing import Final

from dcu.dlms.acse import Conformance
from dcu.dlms.outline import Octets, Outline, class_text, data_lines, name_text, octets_text
from dcu.dlms.services import ACCESS_RESULTS, MAX_LIST, AccessError, ConfirmedServiceError, ExceptionResponse
from dcu.errors import MeterError
from dcu.model import Authentication

Teller = Callable[[Outline, Octets], None]

_CONTEXTS: Final = {
    1: "logical names",
    2: "short names",
    3: "logical names, ciphered",
    4: "short names, ciphered",
}
_SERVICE_STATES: Final = {1: "service not allowed", 2: "service unknown"}


def invoke(out: Outline, octets: Octets) -> None:
    octet = octets.number()
    service = "confirmed" if octet & 0x40 else "unconfirmed"
    out.say(f"invoke-id {octet & 0x0F}, {service}, {'high' if octet & 0x80 else 'normal'} priority")


def _count(octets: Octets) -> int:
    count = octets.length()
    if count > MAX_LIST:
        raise MeterError(f"list longer than {MAX_LIST}")
    return count


def _target(out: Outline, octets: Octets, kind: str = "attribute") -> None:
    class_id, name, index = octets.number(2), octets.take(6), octets.take(1)
    number = int.from_bytes(index, signed=True)
    out.say(f"{class_text(class_id)} {name_text(name)} {kind} {number}")


def _selected(out: Outline, octets: Octets) -> None:
    _target(out, octets)
    if octets.flag():
        selector = octets.number()
        with out.part(_selector_text(selector)):
            data_lines(out, octets)


def _selector_text(selector: int) -> str:
    return f"selective access {selector}{ {1: ' (by range)', 2: ' (by entry)'}.get(selector, '') }"


def _optional(out: Outline, octets: Octets, label: str) -> None:
    if octets.flag():
        data_lines(out, octets, label)
    else:
        out.say(f"no {label}")


def _listed(out: Outline, octets: Octets, what: str, tell: Teller) -> None:
    count = _count(octets)
    with out.part(f"{count} {what}{'' if count == 1 else 's'}"):
        for _ in range(count):
            tell(out, octets)


def _access_result(out: Outline, octets: Octets) -> None:
    out.say(f"result: {AccessError(octets.number())}")


def _result(out: Outline, octets: Octets) -> None:
    choice = octets.number()
    if choice == 0:
        data_lines(out, octets, "value")
    elif choice == 1:
        _access_result(out, octets)
    else:
        raise MeterError(f"result of unknown kind {choice}")


def _block_number(out: Outline, octets: Octets) -> None:
    out.say(f"block {octets.number(4)}")


def _block(out: Outline, octets: Octets) -> None:
    """Tell a DataBlock-SA: last-block, block-number, raw-data."""
    last = octets.flag()
    out.say(f"block {octets.number(4)}{', the last' if last else ', others follow'}")
    out.say(f"raw data {octets_text(octets.sized())}")


def _answer_block(out: Outline, octets: Octets) -> None:
    """Tell a DataBlock-G: like DataBlock-SA, but a result may stand in the place of the raw-data."""
    last = octets.flag()
    out.say(f"block {octets.number(4)}{', the last' if last else ', others follow'}")
    if octets.flag():
        _access_result(out, octets)
    else:
        out.say(f"raw data {octets_text(octets.sized())}")


def _data(out: Outline, octets: Octets) -> None:
    data_lines(out, octets, "value")


def _method(out: Outline, octets: Octets) -> None:
    _target(out, octets, "method")


def _returned(out: Outline, octets: Octets) -> None:
    _access_result(out, octets)
    if octets.flag():
        _result(out, octets)
    else:
        out.say("no return value")


def _all(*tellers: Teller) -> Teller:
    def tell(out: Outline, octets: Octets) -> None:
        for each in tellers:
            each(out, octets)

    return tell


def _list(what: str, teller: Teller) -> Teller:
    return lambda out, octets: _listed(out, octets, what, teller)


_SERVICES: Final[dict[int, tuple[str, dict[int, tuple[str, Teller]]]]] = {
    0xC0: (
        "get-request",
        {1: ("normal", _selected), 2: ("next", _block_number), 3: ("with-list", _list("attribute", _selected))},
    ),
    0xC1: (
        "set-request",
        {
            1: ("normal", _all(_selected, _data)),
            2: ("with-first-datablock", _all(_selected, _block)),
            3: ("with-datablock", _block),
            4: ("with-list", _all(_list("attribute", _selected), _list("value", _data))),
            5: ("with-list-and-first-datablock", _all(_list("attribute", _selected), _block)),
        },
    ),
    0xC3: (
        "action-request",
        {
            1: ("normal", _all(_method, lambda out, octets: _optional(out, octets, "argument"))),
            2: ("next-pblock", _block_number),
            3: ("with-list", _all(_list("method", _method), _list("argument", _data))),
            4: ("with-first-pblock", _all(_method, _block)),
            5: ("with-list-and-first-pblock", _all(_list("method", _method), _block)),
            6: ("with-pblock", _block),
        },
    ),
    0xC4: (
        "get-response",
        {1: ("normal", _result), 2: ("with-datablock", _answer_block), 3: ("with-list", _list("result", _result))},
    ),
    0xC5: (
        "set-response",
        {
            1: ("normal", _access_result),
            2: ("datablock", _block_number),
            3: ("last-datablock", _all(_access_result, _block_number)),
            4: ("last-datablock-with-list", _all(_list("result", _access_result), _block_number)),
            5: ("with-list", _list("result", _access_result)),
        },
    ),
    0xC7: (
        "action-response",
        {
            1: ("normal", _returned),
            2: ("with-pblock", _block),
            3: ("with-list", _list("result", _returned)),
            4: ("next-pblock", _block_number),
        },
    ),
}


def _service(tag: int) -> Teller:
    name, forms = _SERVICES[tag]

    def tell(out: Outline, octets: Octets) -> None:
        number = octets.number()
        form, body = forms.get(number, ("", None))
        if body is None:
            raise MeterError(f"{name} of unknown form {number}")
        with out.part(f"{name} {form}"):
            invoke(out, octets)
            body(out, octets)

    return tell


def _time(out: Outline, octets: Octets) -> None:
    """Tell a date-time that is an octet-string without its tag; empty when it was left out."""
    raw = octets.sized()
    if raw:
        data_lines(out, Octets(b"\x09" + bytes((len(raw),)) + raw), "time")
    else:
        out.say("no time")


def _data_notification(out: Outline, octets: Octets) -> None:
    with out.part("data-notification"):
        number = octets.number(4)
        out.say(f"long-invoke-id {number & 0xFFFFFF}, {'confirmed' if number & 0x4000_0000 else 'unconfirmed'}")
        _time(out, octets)
        _data(out, octets)


def _event_notification(out: Outline, octets: Octets) -> None:
    with out.part("event-notification-request"):
        if octets.flag():
            _time(out, octets)
        _target(out, octets)
        _data(out, octets)


def _exception(out: Outline, octets: Octets) -> None:
    state, service = octets.number(), octets.number()
    counter = octets.number(4) if octets.left else None
    with out.part("exception-response"):
        out.say(f"state: {_SERVICE_STATES.get(state, state)}")
        out.say(str(ExceptionResponse(state, service, counter)))
        if counter is not None:
            out.say(f"expects invocation counter {counter}")


def _service_error(out: Outline, octets: Octets) -> None:
    out.say(str(ConfirmedServiceError(octets.number(), octets.number(), octets.number())))


def _initiate_request(out: Outline, octets: Octets) -> None:
    with out.part("initiate-request"):
        if octets.flag():
            out.say(f"dedicated key of {len(octets.sized())} octets")
        if octets.flag():
            out.say(f"response allowed: {octets.flag()}")
        if octets.flag():
            out.say(f"quality of service {octets.number()}")
        _capabilities(out, octets)


def _initiate_response(out: Outline, octets: Octets) -> None:
    with out.part("initiate-response"):
        if octets.flag():
            out.say(f"quality of service {octets.number()}")
        _capabilities(out, octets)
        out.say(f"object name {octets.number(2):#06x}")


def _capabilities(out: Outline, octets: Octets) -> None:
    out.say(f"DLMS version {octets.number()}")
    if octets.number() != 0x5F:  # application 31: its number is in the next octet, except in older meters
        raise MeterError("no conformance")
    if octets.data[octets.at : octets.at + 1] == b"\x1f":
        octets.take(1)
    bits = octets.sized()
    if len(bits) != 4:
        raise MeterError(f"conformance of {len(bits)} octets")
    words = [str(word.name).lower().replace("_", "-") for word in Conformance if int.from_bytes(bits[1:]) & word]
    out.say(f"conformance {bits[1:].hex()}: {', '.join(words) or 'nothing'}")
    out.say(f"longest APDU it takes: {octets.number(2) or 'no limit'}")


def _block_transfer(out: Outline, octets: Octets) -> None:
    control = octets.number()
    with out.part("general-block-transfer"):
        words = ("last block" if control & 0x80 else "others follow", "streaming" if control & 0x40 else "waits")
        out.say(
            f"block {octets.number(2)}, acknowledges {octets.number(2)}, window {control & 0x3F}, {', '.join(words)}"
        )
        out.say(f"block data {octets_text(octets.sized())}")


def _variable(out: Outline, octets: Octets) -> None:
    """Tell a Variable-Access-Specification of short name referencing."""
    choice = octets.number()
    if choice == 2:
        out.say(f"short name {octets.number(2):#06x}")
    elif choice == 4:
        name, selector = octets.number(2), octets.number()
        with out.part(f"short name {name:#06x}, {_selector_text(selector)}"):
            data_lines(out, octets)
    elif choice == 5:
        out.say(f"block {octets.number(2)}")
    elif choice == 6:
        _short_block(out, octets)
    elif choice == 7:
        last = octets.flag()
        out.say(f"block {octets.number(2)}{', the last' if last else ', others follow'}")
    else:
        raise MeterError(f"variable access of unknown kind {choice}")


def _short_block(out: Outline, octets: Octets) -> None:
    """Tell a block whose number has two octets."""
    last = octets.flag()
    out.say(f"block {octets.number(2)}{', the last' if last else ', others follow'}: {octets_text(octets.sized())}")


def _read_result(out: Outline, octets: Octets) -> None:
    choice = octets.number()
    if choice == 2:
        _short_block(out, octets)
    elif choice == 3:
        out.say(f"block {octets.number(2)}")
    else:
        octets.at -= 1
        _result(out, octets)


def _write_result(out: Outline, octets: Octets) -> None:
    choice = octets.number()
    if choice == 0:
        out.say(f"result: {ACCESS_RESULTS[0]}")
    elif choice == 1:
        _access_result(out, octets)
    elif choice == 2:
        out.say(f"block {octets.number(2)}")
    else:
        raise MeterError(f"result of unknown kind {choice}")


def _named(title: str, *tellers: Teller) -> Teller:
    def tell(out: Outline, octets: Octets) -> None:
        with out.part(title):
            for each in tellers:
                each(out, octets)

    return tell


def identifier_text(kind: int, name: bytes) -> str:
    """Return the words for an application context (`kind` 1) or a mechanism (2); MeterError for another identifier."""
    if len(name) != 7 or name[:5] != bytes.fromhex("6085740508") or name[5] != kind:
        raise MeterError(f"object identifier {name.hex()} is not known")
    if kind == 1:
        return _CONTEXTS.get(name[6], f"context {name[6]}")
    known = {int(word): word.name.replace("_", "-") for word in Authentication}
    return known.get(name[6], f"mechanism {name[6]}")


#: APDUs that are told without knowing what came before.
TELLERS: Final[dict[int, Teller]] = {
    0x01: _initiate_request,
    0x05: _named("read-request", _list("variable", _variable)),
    0x06: _named("write-request", _list("variable", _variable), _list("value", _data)),
    0x08: _initiate_response,
    0x0C: _named("read-response", _list("result", _read_result)),
    0x0D: _named("write-response", _list("result", _write_result)),
    0x0E: _service_error,
    0x0F: _data_notification,
    0xC2: _event_notification,
    0xD8: _exception,
    0xE0: _block_transfer,
    **{tag: _service(tag) for tag in _SERVICES},
}
