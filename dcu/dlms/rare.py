"""Rare COSEM objects as plain values: read from what a meter answered, written and acted upon by command.

What their attributes are called is in `rarities`. Reading is ours alone; the types of what is written are those of
gurux-dlms, which is imported here, on first use, and nowhere else: an answer of a meter never reaches it.
"""

from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from types import SimpleNamespace
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import DateTime, Typed
from dcu.dlms.names import CLASSES
from dcu.dlms.names import TYPES as TYPE_NAMES
from dcu.dlms.rare_types import METHODS, TYPES, Kind, typed
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.services import AccessError
from dcu.dlms.shapes import ANY, BITS, MISFITS, MOMENT, NOTHING, NUMBER, OCTETS, TEXT, MisfitError, Shape
from dcu.errors import CommandRejected, MeterError, excerpt
from dcu.obis import format_obis

#: Octets of one written attribute: the longest day tables and push lists have a tenth of it.
MAX_WRITTEN: Final = 16_384
#: The types that a value without a shape of its own may be written as, and how it looks then.
_SIMPLE: Final[dict[int, Shape]] = {
    axdr.NULL: NOTHING,
    **dict.fromkeys((axdr.OCTET_STRING, axdr.DATE, axdr.TIME), OCTETS),
    **dict.fromkeys((axdr.VISIBLE_STRING, axdr.UTF8_STRING), TEXT),
    axdr.BIT_STRING: BITS,
    axdr.DATE_TIME: MOMENT,
    **dict.fromkeys((axdr.BOOLEAN, axdr.INTEGER, axdr.LONG, axdr.DOUBLE_LONG, axdr.LONG64), NUMBER),
    **dict.fromkeys((axdr.UNSIGNED, axdr.LONG_UNSIGNED, axdr.DOUBLE_LONG_UNSIGNED, axdr.LONG64_UNSIGNED), NUMBER),
    **dict.fromkeys((axdr.ENUM, axdr.FLOAT32, axdr.FLOAT64), NUMBER),
}
_NESTED: Final = {axdr.ARRAY, axdr.STRUCTURE}


def read(class_id: int, name: bytes, values: dict[int, Any]) -> dict[str, Any]:
    """Return an object as JSON-able values: `class`, `name`, and each attribute of `values` under its own word.

    `values` maps attribute indexes to decoded values, as in a Response, or to the AccessError in their place (then
    {"error": …}). Octets without a better form are {"hex": …}. MeterError for an unknown attribute or another shape.
    """
    answer: dict[str, Any] = {"class": CLASSES.get(class_id, class_id), "name": format_obis(name)}
    for index, value in values.items():
        word, _ = _attribute(class_id, index) or _unknown(class_id, index)
        if isinstance(value, AccessError):
            answer[word] = {"error": str(value)}
            continue
        answer[word] = plain(class_id, index, value)[1]
    return answer


def _attribute(class_id: int, index: int) -> tuple[str, Shape] | None:
    return ATTRIBUTES.get(class_id, {}).get(index)


def _unknown(class_id: int, index: int) -> tuple[str, Shape]:
    raise MeterError(f"class {class_id} attribute {index} is not known")


def plain(class_id: int, attribute: int, value: Any) -> tuple[str, Any]:
    """Return the word for an attribute ("value" where it has none) and its decoded value as JSON-able values.

    MeterError when a known attribute has another shape.
    """
    known = _attribute(class_id, attribute)
    word, shape = known or ("value", ANY)
    try:
        return word, shape.plain(value)
    except MISFITS:
        raise MeterError(f"{word} has another shape: {excerpt(value)}") from None


def same(class_id: int, attribute: int, value: Any, wanted: Any, type_name: str | None = None) -> bool:
    """Whether the decoded `value` is what writing `wanted` was to leave there."""
    known = _attribute(class_id, attribute)
    shape = known[1] if known else _SIMPLE[_tag(type_name)]
    try:
        return bool(shape.plain(value) == shape.plain(shape.decoded(wanted)))
    except MISFITS:
        return False


def encode(class_id: int, attribute: int, value: Any, type_name: str | None = None) -> Typed:
    """Return what to write into `attribute`, from `value` as `read` gives it.

    `type_name` is the data type (as "long-unsigned") of a simple value that the class does not type, or types otherwise
    in this meter. CommandRejected when the attribute cannot be written, or `value` has another shape or is too long.
    """
    known = _attribute(class_id, attribute)
    if known is None and type_name is not None:
        return _simple("value", value, _tag(type_name))
    if known is None or (class_id, attribute) not in TYPES:
        raise CommandRejected(f"class {class_id} attribute {attribute} cannot be written")
    word, shape = known
    wanted = _decoded(word, shape, value)
    kind = TYPES[class_id, attribute]
    if type_name is not None:
        if not isinstance(kind, int):
            raise CommandRejected(f"type: {word} has a type of its own")
        kind = _tag(type_name)
    return _through_gurux(class_id, attribute, word, wanted) if kind is None else _fitting(word, kind, wanted)


def _decoded(word: str, shape: Shape, value: Any) -> Any:
    try:
        return shape.decoded(value)
    except MisfitError as misfit:
        raise CommandRejected(f"{word}{misfit}: not the shape of this attribute: {excerpt(value)}") from None
    except MISFITS:
        raise CommandRejected(f"{word}: not the shape of this attribute: {excerpt(value)}") from None


def _tag(type_name: str | None) -> int:
    """Return the tag of a simple type; CommandRejected for a name that is none."""
    for tag in _SIMPLE:
        if TYPE_NAMES[tag] == type_name:
            return tag
    names = ", ".join(TYPE_NAMES[tag] for tag in _SIMPLE)
    raise CommandRejected(f"type: expected one of {names}")


def _simple(word: str, value: Any, tag: int) -> Typed:
    decoded = _decoded(word, _SIMPLE[tag], value)
    return _fitting(word, tag, DateTime.from_bytes(decoded) if tag == axdr.DATE_TIME else decoded)


def _fitting(word: str, kind: Kind, wanted: Any) -> Typed:
    """Return `wanted` under the tags of `kind`."""
    try:
        ready = typed(kind, wanted)
        length = len(axdr.encode(ready))
    except MISFITS:
        length = MAX_WRITTEN + 1
    if length > MAX_WRITTEN:
        raise CommandRejected(f"{word}: does not fit")
    return ready


def method(class_id: int, number: int, argument: Any = None, type_name: str | None = None) -> Typed:
    """Return the argument of method `number`, from its plain form; methods without one send integer 0.

    `type_name` is the data type of the argument where the method is not known here. CommandRejected when the class has
    no such method, or `argument` has another shape.
    """
    if type_name is not None:
        return _simple("value", argument, _tag(type_name))
    known = METHODS.get((class_id, number))
    if known is None:
        raise CommandRejected(f"class {class_id} method {number} is not known")
    word, build = known
    try:
        ready = build(argument)
        length = len(axdr.encode(ready))
    except MisfitError as misfit:
        raise CommandRejected(f"{word}{misfit}: not its argument: {excerpt(argument)}") from None
    except MISFITS:
        raise CommandRejected(f"{word}: not its argument: {excerpt(argument)}") from None
    if length > MAX_WRITTEN:
        raise CommandRejected(f"{word}: longer than {MAX_WRITTEN} octets")
    return ready


def _through_gurux(class_id: int, attribute: int, word: str, wanted: Any) -> Typed:
    """Let gurux's object take the value and give it back: of that, the types are used, not what became of the value."""
    _bounded(word, wanted)
    gurux = _gurux()
    # it prints, and it raises whatever comes to it
    try:
        with redirect_stdout(StringIO()):
            raw = _given_back(gurux, class_id, attribute, wanted)
        ready = _typed_as(wanted, raw)
        axdr.encode(ready)
    except Exception as error:  # noqa: BLE001 - gurux raises whatever comes to it, Exception itself included
        raise CommandRejected(f"{word}: cannot be encoded ({type(error).__name__})") from None
    return ready


def _bounded(word: str, wanted: Any) -> None:
    left = MAX_WRITTEN
    waiting = [wanted]
    while waiting:
        item = waiting.pop()
        left -= 1 + (len(item) if isinstance(item, bytes | str | list) else 8)
        if left < 0:
            raise CommandRejected(f"{word}: longer than {MAX_WRITTEN} octets")
        if isinstance(item, list):
            waiting += item


def _given_back(gurux: SimpleNamespace, class_id: int, attribute: int, wanted: Any) -> bytes:
    settings = gurux.GXDLMSSettings(False, None)
    item = gurux.create(class_id)
    item.version = 0
    event = gurux.ValueEventArgs(settings, item, attribute)
    event.value = _foreign(wanted)
    item.setValue(settings, event)
    given = item.getValue(settings, gurux.ValueEventArgs(settings, item, attribute))
    tag = item.getDataType(attribute)
    # arrays and structures come as octets, anything else as a value whose type the class knows
    if int(tag) in _NESTED:
        return bytes(given.array() if isinstance(given, gurux.GXByteBuffer) else given)
    buffer = gurux.GXByteBuffer()
    gurux.common.setData(settings, buffer, tag, given)
    return bytes(buffer.array())


def _foreign(value: Any) -> Any:
    """Return a decoded value as gurux's own decoder would give it."""
    if isinstance(value, list):
        return [_foreign(item) for item in value]
    return bytearray(value) if isinstance(value, bytes) else value


@cache
def _gurux() -> SimpleNamespace:
    """Import the parts of gurux-dlms that are used; 19 MB that a daemon without such commands does not carry."""
    from gurux_dlms._GXObjectFactory import _GXObjectFactory  # noqa: PLC0415 - on first use only
    from gurux_dlms.GXByteBuffer import GXByteBuffer  # noqa: PLC0415 - as above
    from gurux_dlms.GXDLMSSettings import GXDLMSSettings  # noqa: PLC0415 - as above
    from gurux_dlms.internal._GXCommon import _GXCommon  # noqa: PLC0415 - as above
    from gurux_dlms.ValueEventArgs import ValueEventArgs  # noqa: PLC0415 - as above

    return SimpleNamespace(
        GXByteBuffer=GXByteBuffer,
        GXDLMSSettings=GXDLMSSettings,
        ValueEventArgs=ValueEventArgs,
        common=_GXCommon,
        create=_GXObjectFactory.createObject,
    )


def _typed_as(value: Any, raw: bytes) -> Typed:
    """Return a decoded value with the tags of the Data in `raw`; ValueError where their shapes differ.

    gurux's dates lose the day of the week and the hundredths, so `value` has to be ours.
    """
    axdr.decode_all(raw)  # malformed, it ends here
    return _tagged(value, raw, 0)[0]


def _tagged(value: Any, raw: bytes, at: int) -> tuple[Typed, int]:
    tag = raw[at]
    if tag not in _NESTED:
        return Typed(tag, value), axdr.decode(raw, at)[1]
    count, at = axdr.read_length(raw, at + 1)
    items = []
    for item, _ in zip(value, range(count), strict=True):
        element, at = _tagged(item, raw, at)
        items.append(element)
    return Typed(tag, tuple(items)), at
