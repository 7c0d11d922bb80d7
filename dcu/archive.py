"""What is known of each meter: its line of the configuration, its profile, the learned shapes, the watermarks.

It talks to a meter only to learn a shape that the store does not hold yet; the timetable is not here.
"""

from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any, Protocol

from dcu.model import ALARM, INSTANT, Column, Meter
from dcu.obis import format_obis, parse_obis
from dcu.profiles import CompanionProfile
from dcu.session import Session
from dcu.shapes import Shape, learn
from dcu.visit import Findings, Range, next_range

#: Streams of what a meter holds at the moment it is asked.
MOMENTARY = frozenset((INSTANT, ALARM))


class DescriptorStore(Protocol):
    """Where learned shapes outlive a restart."""

    async def put_descriptor(self, meter: str, name: str, data: Any) -> None: ...

    async def descriptors(self, meter: str) -> Mapping[str, Any]: ...


class Archive:
    """The meters of the box. `backfill` says per stream how many seconds back a meter is read the first time."""

    def __init__(
        self,
        meters: Iterable[Meter],
        profiles: Mapping[str, CompanionProfile],
        backfill: Mapping[str, float],
        store: DescriptorStore,
        watermarks: Mapping[tuple[str, str], int],
    ) -> None:
        self._meters = {meter.id: meter for meter in meters}
        self._profiles = profiles
        self._backfill = backfill
        self._store = store
        # by stream, then meter: a pair of words for each of 8000 marks would be half a megabyte of tuples
        self._marks: dict[str, dict[str, int]] = {}
        self._move(watermarks)
        self._shapes: dict[str, dict[str, Shape]] = {}
        # the shape each stream had when it was doubted last; at most one a stream, and hardly ever one
        self._doubted: dict[tuple[str, str], Shape] = {}
        # meters of one model share one shape object: 1024 meters must not hold 1024 copies
        self._shared: dict[Shape, Shape] = {}

    def __contains__(self, meter: str) -> bool:
        return meter in self._meters

    def meter(self, meter: str) -> Meter:
        return self._meters[meter]

    def profile(self, meter: str) -> CompanionProfile:
        return self._profiles[self._meters[meter].profile]

    async def shapes(self, session: Session, meter: str, streams: Sequence[str]) -> dict[str, Shape]:
        """Return the shapes of those `streams` that the meter has; what is not known yet is learned and kept."""
        if meter not in self._shapes:
            stored = await self._store.descriptors(meter)
            shaped = {INSTANT, *self.profile(meter).streams}  # whatever else is kept of a meter is no shape
            self._shapes[meter] = {name: self._share(_shape(data)) for name, data in stored.items() if name in shaped}
        known = self._shapes[meter]
        if missing := [stream for stream in streams if stream not in known]:
            for stream, shape in (await learn(session, self.profile(meter), missing)).items():
                known[stream] = self._share(shape)
                if shape.columns:  # a stream the meter denies is asked for again after a restart
                    await self._store.put_descriptor(meter, stream, _data(shape))
        return {stream: known[stream] for stream in streams if known[stream].columns}

    def ranges(self, meter: str, shapes: Mapping[str, Shape], now: int) -> dict[str, Range | None]:
        """Return what to ask of each stream: None for what is of this moment, else the interval after its watermark."""
        return {
            stream: None
            if stream in MOMENTARY
            else next_range(shape, self._marks.get(stream, {}).get(meter), now, self._backfill.get(stream, 0))
            for stream, shape in shapes.items()
        }

    def review(self, meter: str, found: Findings) -> None:
        """Decide over streams none of whose rows fitted: learn the shape anew, and if it stays the same, go on.

        Rows that do not fit the columns the meter names now are of no use to anybody and must not hold up the others.
        """
        for stream, span in found.outgrown.items():
            shape = self._shapes[meter].pop(stream)
            if self._doubted.get((meter, stream)) is not shape:
                self._doubted[meter, stream] = shape
            elif span.more:
                found.more.append(stream)
                found.watermarks[meter, stream] = span.end

    def stored(self, found: Findings) -> None:
        """Move the watermarks, after the commit that moved them on disk."""
        self._move(found.watermarks)

    def _move(self, watermarks: Mapping[tuple[str, str], int]) -> None:
        for (meter, stream), mark in watermarks.items():
            self._marks.setdefault(intern(stream), {})[intern(meter)] = mark

    def _share(self, shape: Shape) -> Shape:
        return self._shared.setdefault(shape, shape)


def _data(shape: Shape) -> dict[str, Any]:
    columns = [[c.class_id, format_obis(c.name), c.index, c.data_index, c.scaler, c.unit] for c in shape.columns]
    return {"period": shape.period, "columns": columns}


def _shape(data: Mapping[str, Any]) -> Shape:
    columns = tuple(Column(class_id, parse_obis(name), *rest) for class_id, name, *rest in data["columns"])
    return Shape(columns, data["period"])
