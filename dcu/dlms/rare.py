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
from dcu.dlms.axdr import Typed
from dcu.dlms.names import CLASSES
from dcu.dlms.rarities import ATTRIBUTES, METHODS, TYPES, Shape
from dcu.dlms.services import AccessError
from dcu.errors import CommandRejected, MeterError
from dcu.obis import format_obis

#: Octets of one written attribute: the longest day tables and push lists have a tenth of it.
MAX_WRITTEN: Final = 16_384
_NESTED: Final = {axdr.ARRAY, axdr.STRUCTURE}


def read(class_id: int, name: bytes, values: dict[int, Any]) -> dict[str, Any]:
    """Return an object as JSON-able values: `class`, `name`, and each attribute of `values` under its own word.

    `values` maps attribute indexes to decoded values, as in a Response, or to the AccessError in their place (then
    {"error": …}). Octets without a better form are {"hex": …}. MeterError for an unknown attribute or another shape.
    """
    answer: dict[str, Any] = {"class": CLASSES.get(class_id, class_id), "name": format_obis(name)}
    for index, value in values.items():
        word, shape = _attribute(class_id, index) or _unknown(class_id, index)
        if isinstance(value, AccessError):
            answer[word] = {"error": str(value)}
            continue
        try:
            answer[word] = shape.plain(value)
        except (TypeError, ValueError, LookupError):
            raise MeterError(f"{answer['class']}: {word} has another shape: {str(value)[:60]}") from None
    return answer


def _attribute(class_id: int, index: int) -> tuple[str, Shape] | None:
    return ATTRIBUTES.get(class_id, {}).get(index)


def _unknown(class_id: int, index: int) -> tuple[str, Shape]:
    raise MeterError(f"class {class_id} attribute {index} is not known")


def encode(class_id: int, attribute: int, value: Any) -> Typed:
    """Return what to write into `attribute`, from `value` as `read` gives it.

    CommandRejected when the attribute cannot be written, or `value` has another shape or is too long.
    """
    known = _attribute(class_id, attribute)
    if known is None or (class_id, attribute) not in TYPES:
        raise CommandRejected(f"class {class_id} attribute {attribute} cannot be written")
    word, shape = known
    try:
        wanted = shape.decoded(value)
    except (TypeError, ValueError, LookupError, AttributeError):
        raise CommandRejected(f"{word}: not the shape of this attribute: {str(value)[:60]}") from None
    if (simple := TYPES[class_id, attribute]) is not None:
        return _fitting(word, simple, wanted)
    return _through_gurux(class_id, attribute, word, wanted)


def _fitting(word: str, tag: int, wanted: Any) -> Typed:
    """Return `wanted` under `tag`, or an array of such."""
    typed = (
        Typed(axdr.ARRAY, tuple(Typed(tag, item) for item in wanted)) if type(wanted) is list else Typed(tag, wanted)
    )
    try:
        length = len(axdr.encode(typed))
    except (TypeError, ValueError, AttributeError):
        length = MAX_WRITTEN + 1
    if length > MAX_WRITTEN:
        raise CommandRejected(f"{word}: does not fit")
    return typed


def method(class_id: int, number: int, argument: Any = None) -> Typed:
    """Return the argument of method `number`, from its plain form; methods without one send integer 0.

    CommandRejected when the class has no such method, or `argument` has another shape.
    """
    known = METHODS.get((class_id, number))
    if known is None:
        raise CommandRejected(f"class {class_id} method {number} is not known")
    word, build = known
    try:
        typed = build(argument)
        length = len(axdr.encode(typed))
    except (TypeError, ValueError, LookupError, AttributeError):
        raise CommandRejected(f"{word}: not its argument: {str(argument)[:60]}") from None
    if length > MAX_WRITTEN:
        raise CommandRejected(f"{word}: longer than {MAX_WRITTEN} octets")
    return typed


def _through_gurux(class_id: int, attribute: int, word: str, wanted: Any) -> Typed:
    """Let gurux's object take the value and give it back: of that, the types are used, not what became of the value."""
    _bounded(word, wanted)
    gurux = _gurux()
    # it prints, and it raises whatever comes to it
    try:
        with redirect_stdout(StringIO()):
            raw = _given_back(gurux, class_id, attribute, wanted)
        typed = _typed_as(wanted, raw)
        axdr.encode(typed)
    except Exception as error:  # noqa: BLE001 - gurux raises whatever comes to it, Exception itself included
        raise CommandRejected(f"{word}: cannot be encoded ({type(error).__name__})") from None
    return typed


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
    typed, _ = _tagged(value, raw, 0)
    return typed


def _tagged(value: Any, raw: bytes, at: int) -> tuple[Typed, int]:
    tag = raw[at]
    if tag not in _NESTED:
        return Typed(tag, value), axdr.decode(raw, at)[1]
    count, at = axdr.read_length(raw, at + 1)
    items = []
    for item, _ in zip(value, range(count), strict=True):
        typed, at = _tagged(item, raw, at)
        items.append(typed)
    return Typed(tag, tuple(items)), at
