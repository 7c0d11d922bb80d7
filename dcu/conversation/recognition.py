"""Whether the meter at an address is still the one whose shapes are remembered: what it is asked, and what it says.

All of it is asked once a day and after a doubt, the serial number whenever another meter may have come, within a visit
that is made anyway. When that is, is in `acquaintance`; what follows from a change is `dcu.archive`'s.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from dcu.conversation.shapes import (
    CAPTURE_OBJECTS,
    CAPTURE_PERIOD,
    PROFILE_GENERIC,
    SCALED,
    SCALER_UNIT,
    Shape,
    scaler_of,
    scaler_profile_questions,
    told_scalers,
)
from dcu.dlms import cosem
from dcu.dlms.services import AccessError, Get
from dcu.errors import MeterError
from dcu.model import Attribute, Column
from dcu.obis import format_obis
from dcu.profiles import CompanionProfile

#: Seconds after which a meter is asked again. It costs some 60 octets, 20 per column of the profiles read then, 20 per
#: profile, whose capture period may have been set anew, and 20 per register, whose scaler and unit may have been, 30
#: where they stand in a profile.
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


class Scales(NamedTuple):
    """What is known of scalers: of objects that tell their own, and of those that `profiles` tell of (IS 15959)."""

    own: Scalers = MappingProxyType({})
    told: Scalers = MappingProxyType({})
    profiles: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered that may have been set anew: the capture period (s) of each stream, and scalers."""

    scalers: Scales
    periods: Mapping[str, int]


NOTHING_KNOWN: Final = Known(Scales(), {})


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


def scalers(profile: CompanionProfile, shapes: Mapping[str, Shape]) -> Scales:
    """Return scaler and unit of the objects in `shapes`, and who tells them: themselves, or profiles made for that."""
    held = {stream: shape for stream, shape in shapes.items() if shape.columns}
    apart = {stream: name for stream in held if (name := _scaler_profile(profile, stream))}
    own = _scalers(shape for stream, shape in held.items() if stream not in apart)
    return Scales(own, _scalers(held[stream] for stream in apart), tuple(dict.fromkeys(apart.values())))


def _scaler_profile(profile: CompanionProfile, stream: str) -> bytes | None:
    return profile.streams[stream].scalers if stream in profile.streams else None


def _scalers(shapes: Iterable[Shape]) -> Scalers:
    columns = (column for shape in shapes for column in shape.columns if (column.class_id, column.index) in SCALED)
    return {(column.class_id, column.name): (column.scaler, column.unit) for column in columns}


def scaler_questions(known: Scales) -> list[Get]:
    """Return what tells whether they still are those `known`."""
    own = [Get(Attribute(class_id, name, SCALER_UNIT[class_id])) for class_id, name in known.own]
    return own + scaler_profile_questions(known.profiles)


def rescaled(known: Scales, answers: Sequence[Any]) -> tuple[str, str] | None:
    """Return how the first that differs was and is by the `answers` to `scaler_questions`; no answer proves nothing."""
    for name, before, now in _compared(known, iter(answers)):
        if now and before not in now:
            return _scaled(name, *before), _scaled(name, *now[0])
    return None


def _compared(known: Scales, answers: Iterator[Any]) -> Iterator[tuple[bytes, tuple[int, int], list[tuple[int, int]]]]:
    """Yield each object's name, its scaler and unit as they are known, and all that is told of them now."""
    for (_, name), before in known.own.items():
        yield name, before, _sound([scaler_of(next(answers))])
    rows = [told_scalers(*pair) or {} for pair in zip(answers, answers, strict=True)]
    for key, before in known.told.items():
        yield key[1], before, _sound(row.get(key) for row in rows)


def _sound(said: Iterable[Any]) -> list[tuple[int, int]]:
    return [each for each in said if isinstance(each, tuple)]


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
