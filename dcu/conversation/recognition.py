"""Whether the meter at an address is still the one whose shapes are remembered: what it is asked, and what it says.

All of it is asked once a day and after a doubt, the serial number whenever another meter may have come, within a visit
that is made anyway. When that is, is in `acquaintance`; what follows from a change is `dcu.archive`'s.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from dcu.conversation.shapes import CAPTURE_OBJECTS, CAPTURE_PERIOD, PROFILE_GENERIC, SCALED, SCALER_UNIT, Shape
from dcu.dlms import cosem
from dcu.dlms.services import AccessError, Get
from dcu.errors import MeterError
from dcu.model import Attribute, Column
from dcu.obis import format_obis
from dcu.profiles import CompanionProfile

#: Seconds after which a meter is asked again. It costs some 60 octets, 20 per column of the profiles read then, 20 per
#: profile, whose capture period may have been set anew, and 20 per register, whose scaler and unit may have been.
RECOGNISE_EVERY: Final = 86_400.0

#: What a companion profile's `identity` names for this: another meter, or another program in it.
SERIAL: Final = "serial"
WORDS: Final = (SERIAL, "firmware")
#: What is said of a register that has another scaler or unit now, beside these words.
SCALER: Final = "scaler"
#: What an association tells besides where it is protected: the meter's system title, in hexadecimal digits. Where
#: meters share keys, nothing else in it says which of them is there.
TITLE: Final = "title"

#: Characters of a word that are remembered: a meter may put much of its own into one.
MAX_WORD: Final = 64


#: Scaler and unit code by class and logical name.
Scalers = Mapping[tuple[int, bytes], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered that may have been set anew: the capture period (s) of each stream, and scalers."""

    scalers: Scalers
    periods: Mapping[str, int]


NOTHING_KNOWN: Final = Known({}, {})


class Asking(Enum):
    """What a visit asks the meter of itself: nothing, its serial number, or all that it is recognised by."""

    NOTHING = auto()
    SERIAL = auto()
    ALL = auto()


_ASKED: Final = {Asking.NOTHING: (), Asking.SERIAL: (SERIAL,), Asking.ALL: WORDS}


def questions(profile: CompanionProfile, asking: Asking) -> list[Get]:
    """Return what tells who the meter is."""
    return [Get(profile.identity[word]) for word in _ASKED[asking] if word in profile.identity]


def identity(profile: CompanionProfile, asking: Asking, answers: Iterator[Any]) -> dict[str, str]:
    """Take the answers to `questions`; what the meter does not tell is left out."""
    said = {word: word_of(next(answers)) for word in _ASKED[asking] if word in profile.identity}
    return {word: text for word, text in said.items() if text}


def captured(profile: CompanionProfile, streams: Iterable[str]) -> list[Get]:
    """Return what tells which columns the profile of each of `streams` captures."""
    objects = (Attribute(PROFILE_GENERIC, profile.streams[stream].name, CAPTURE_OBJECTS) for stream in streams)
    return [Get(attribute) for attribute in objects]


def recast(answer: Any, columns: Sequence[Column]) -> bool:
    """Whether `answer` names other capture objects than `columns` are of; one that names none proves nothing."""
    if isinstance(answer, AccessError):
        return False
    try:
        now = cosem.decode_capture_objects(answer)
    except MeterError:
        return False
    return now != tuple(replace(column, scaler=0, unit=255) for column in columns)


def period_questions(profile: CompanionProfile, known: Mapping[str, int]) -> list[Get]:
    """Return what tells whether the capture periods by stream still are those `known`."""
    return [Get(Attribute(PROFILE_GENERIC, profile.streams[stream].name, CAPTURE_PERIOD)) for stream in known]


def repaced(known: Mapping[str, int], answers: Iterable[Any]) -> list[str]:
    """Return the streams that have another capture period by the `answers` to `period_questions`.

    An answer that is no period proves nothing.
    """
    told = zip(known.items(), answers, strict=True)
    return [stream for (stream, period), now in told if type(now) is int and now >= 0 and now != period]


def scalers(profile: CompanionProfile, shapes: Mapping[str, Shape]) -> Scalers:
    """Return scaler and unit of the objects in `shapes` that tell it themselves, not in a profile made for that."""
    streams = profile.streams
    own = (shape for stream, shape in shapes.items() if stream not in streams or not streams[stream].scalers)
    columns = (column for shape in own for column in shape.columns if (column.class_id, column.index) in SCALED)
    return {(column.class_id, column.name): (column.scaler, column.unit) for column in columns}


def scaler_questions(known: Scalers) -> list[Get]:
    """Return what tells whether they still are those `known`."""
    return [Get(Attribute(class_id, name, SCALER_UNIT[class_id])) for class_id, name in known]


def rescaled(known: Scalers, answers: Sequence[Any]) -> tuple[str, str] | None:
    """Return how the first that differs was and is by the `answers` to `scaler_questions`; no answer proves nothing."""
    for ((_, name), before), answer in zip(known.items(), answers, strict=True):
        try:
            now = cosem.decode_scaler_unit(answer)
        except MeterError:
            continue
        if now != before:
            return _scaled(name, *before), _scaled(name, *now)
    return None


def _scaled(name: bytes, scaler: int, unit: int) -> str:
    return f"{format_obis(name)}: 10^{scaler} {cosem.UNITS.get(unit, f'of unit {unit}')}"


def word_of(answer: Any) -> str:
    """Return what a meter says of itself as a word: octets as text where they are that, "" for what is no word."""
    if isinstance(answer, bytes):
        word = answer.strip(b"\0 ")
        return (word.decode("ascii") if word.isascii() and word.decode("ascii").isprintable() else word.hex())[
            :MAX_WORD
        ]
    return str(answer)[:MAX_WORD] if isinstance(answer, int | str) else ""
