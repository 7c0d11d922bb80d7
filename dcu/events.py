"""What meters' events mean: their names, what ends what, which bits of alarms and rows rose, and what is news.

Reading them is `dcu.conversation`'s, publishing `dcu.delivery`'s business. The box's own events: `messages.events`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, Protocol

from dcu.clock import DAY, iso
from dcu.messages.envelope import is_event
from dcu.model import ALARM, DCU_EVENTS, PUSH, Capture, Column, EventCode, Value
from dcu.profiles import CompanionProfile

#: The column that a stored event has behind the meter's own when it ends another: since when that one lasted, UTC s.
SINCE: Final = Column(8, b"\x00\x00\x01\x00\x00\xff", data_index=1)

#: Objects whose value is the number of an event: class 1, 0-0:96.11.x.255 (IEC 62056-6-1).
_DATA, _CODES = 1, b"\x00\x00\x60\x0b"

#: Events of a log that are looked through for the one that another ends.
LOOK_BACK: Final = 100

#: Later than any clock shows.
LATEST: Final = 1 << 62

_GRAVITY = {"info": 0, "warning": 1, "alarm": 2}


class Recorded(Protocol):
    """What is asked of the store."""

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` captures with at ≤ `end`, in the order of recording."""


class Log(Recorded, Protocol):
    """What is asked of the store about events."""

    def between(self, meter: str, stream: str, start: int, end: int) -> AsyncIterator[Sequence[Capture]]:
        """Yield all captures with start ≤ at ≤ end, in parts."""


#: An event: of which meter and log, when, and its code.
_Key = tuple[str, str, int, int | None]


def _key(capture: Capture) -> _Key:
    return capture.meter, capture.stream, capture.at, code_of(capture)


def code_of(capture: Capture) -> int | None:
    """Return the number of an event: of the column that holds such, or the first integer of the row."""
    pairs = list(zip(capture.columns, capture.values, strict=True))
    known = (value for column, value in pairs if column.class_id == _DATA and column.name.startswith(_CODES))
    return next((value for value in (*known, *capture.values) if type(value) is int), None)


def bits(word: Value) -> frozenset[int]:
    """Return which bits of an alarm register are up: of a number from the lowest on, of a bit-string from the first."""
    if isinstance(word, str):
        return frozenset(number for number, bit in enumerate(word) if bit == "1")
    if type(word) is not int or word < 0:
        return frozenset()
    return frozenset(number for number in range(word.bit_length()) if word >> number & 1)


def conditions(profile: CompanionProfile, row: Capture) -> frozenset[str]:
    """Return what the status bits of a row say of its time."""
    if profile.status is None:
        return frozenset()
    columns, names = profile.status.columns, profile.status.bits
    words = (value for column, value in zip(row.columns, row.values, strict=True) if column.name in columns)
    return frozenset(names[bit] for word in words for bit in bits(word) if bit in names)


def risen(profile: CompanionProfile, known: Capture, rows: Iterable[Capture]) -> list[str]:
    """Return which conditions begin in `rows` of one stream that are newer than the row that is `known` of it."""
    newer = sorted((row for row in rows if row.at > known.at), key=lambda row: row.at)
    told = [conditions(profile, row) for row in (known, *newer)]
    return sorted(frozenset[str]().union(*(after - before for before, after in pairwise(told))))


def describe(profile: CompanionProfile, capture: Capture) -> dict[str, Any]:
    """Return what a message tells of a meter's event besides its values; `event` is None for an unknown one.

    An end says what it `restores`, and `since` when that had lasted; an alarm register which bits `rose` and `fell`.
    """
    if capture.stream == ALARM:
        return _alarm(profile, capture)
    if capture.stream == PUSH:
        return {"event": "push", "severity": "info"}
    codes = profile.event_codes.get(capture.stream, {})
    found = codes.get(code) if (code := code_of(capture)) is not None else None
    if found is None:
        return {"event": None, "severity": None}
    words = {"event": found.name, "severity": found.severity}
    if found.restores is not None:
        words["restores"] = codes[found.restores].name
    if capture.columns and capture.columns[-1] == SINCE and type(capture.values[-1]) is int:
        words["since"] = iso(capture.values[-1])
    return words


def _alarm(profile: CompanionProfile, capture: Capture) -> dict[str, Any]:
    now, before = map(bits, capture.values)
    names = profile.alarms.bits if profile.alarms else {}
    rose, fell = (
        [names.get(bit, EventCode(f"bit {bit}")) for bit in sorted(some)] for some in (now - before, before - now)
    )
    gravest = max(rose, key=lambda each: _GRAVITY[each.severity], default=None)
    return {
        "event": gravest.name if gravest else None,
        "severity": gravest.severity if gravest else "info",
        "rose": [each.name for each in rose],
        "fell": [each.name for each in fell],
    }


class EventSieve:
    """Lets through what is news. `profile` gives the companion profile of a meter, `logs` the streams that are read."""

    def __init__(self, store: Log, profile: Callable[[str], CompanionProfile], logs: Iterable[str]) -> None:
        self._store = store
        self._profile = profile
        read = frozenset(stream for stream in logs if is_event(stream))
        self._logs, self._alarms = read - {ALARM, DCU_EVENTS}, ALARM in read
        # words of alarm registers by meter; most are naught, so those are only known to have been looked at
        self._words: dict[str, Value] = {}
        self._looked: set[str] = set()

    def logs(self, meter: str) -> list[str]:
        """Return the logs of a meter that are worth a look when it has something to tell."""
        return sorted(self._logs & self._profile(meter).streams.keys())

    def telling(self, meter: str) -> list[str]:
        """Return its logs and its alarm register, as far as they are read."""
        alarms = [ALARM] if self._alarms and self._profile(meter).alarms else []
        return self.logs(meter) + alarms

    async def sift(self, captures: Sequence[Capture]) -> list[Capture]:
        """Return `captures` without alarm words that are as they were and without events that are there twice.

        An event that ends another gets, where that is known, the column SINCE. Raises StoreError.
        """
        found: list[Capture] = []
        seen = await self._held(captures)
        for capture in captures:
            if not is_event(capture.stream):
                found.append(capture)
            elif capture.stream == ALARM:
                found += await self._changed(capture)
            elif capture.stream == PUSH:
                found.append(capture)
            elif (key := _key(capture)) not in seen:
                seen.add(key)
                found.append(await self._with_beginning(capture, found))
        return found

    def kept(self, captures: Iterable[Capture]) -> bool:
        """Follow a commit; say whether an alarm register had changed."""
        words = [capture for capture in captures if capture.stream == ALARM]
        for capture in words:
            self._words[capture.meter] = capture.values[0]
        return bool(words)

    async def _held(self, captures: Iterable[Capture]) -> set[_Key]:
        """Return which of these events are held: those that a meter was asked for once more, after its clock went back.

        However many there are in the log beside them.
        """
        asked: dict[tuple[str, str], set[_Key]] = {}
        for capture in captures:
            if is_event(capture.stream) and capture.stream not in {ALARM, PUSH}:
                asked.setdefault((capture.meter, capture.stream), set()).add(_key(capture))
        held: set[_Key] = set()
        for (meter, stream), keys in asked.items():
            times = [at for _, _, at, _ in keys]
            latest = await self._store.before(meter, stream, max(times), 1)
            if latest and latest[0].at // DAY >= min(times) // DAY:  # hardly ever: within a day they lie as they came
                async for log in self._store.between(meter, stream, min(times), max(times)):
                    held |= keys.intersection(map(_key, log))
        return held

    async def _changed(self, capture: Capture) -> list[Capture]:
        """Return the alarm word with the one before it, when their bits differ."""
        (word,) = capture.values
        if capture.meter not in self._looked:
            for latest in await self._store.before(capture.meter, ALARM, LATEST, 1):
                if bits(latest.values[0]):
                    self._words[capture.meter] = latest.values[0]
            self._looked.add(capture.meter)
        before = self._words.get(capture.meter, "0" * len(word) if isinstance(word, str) else 0)
        # an answer that is none is no news either
        if not isinstance(word, int | str) or bits(word) == bits(before):
            return []
        return [replace(capture, values=(word, before), columns=capture.columns * 2)]

    async def _with_beginning(self, capture: Capture, fresh: Sequence[Capture]) -> Capture:
        codes = self._profile(capture.meter).event_codes.get(capture.stream, {})
        code = code_of(capture)
        begun = codes[code].restores if code is not None and code in codes else None
        if begun is None:
            return capture
        key = capture.meter, capture.stream
        log = await self._store.before(*key, capture.at, LOOK_BACK)
        log += [each for each in fresh if (each.meter, each.stream) == key]
        since = _lasting(log, begun, {number for number, each in codes.items() if each.restores == begun})
        if since is None:
            return capture
        return replace(capture, values=(*capture.values, since), columns=(*capture.columns, SINCE))


def _lasting(log: Sequence[Capture], begun: int, ends: set[int]) -> int | None:
    """Return when the event `begun` happened that none of `ends` has ended in `log`, None when there is none such."""
    since = None
    for capture in log:
        code = code_of(capture)
        if code == begun and since is None:
            since = capture.at
        elif code in ends:
            since = None
    return since
