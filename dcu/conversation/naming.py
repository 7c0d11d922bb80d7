"""Base names of the meters whose attributes have short names: learned once, kept, and doubted again and again.

What a base name means is known in `dcu.dlms.short_names`; how requests travel is the session's business.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from dcu.dlms.services import AccessError, Action, Get, Read, Set, Variable, Write
from dcu.dlms.short_names import OBJECT_LIST, OWN_NAME, UNDEFINED, ShortNames, ShortObject
from dcu.errors import MeterError, NotServedError
from dcu.model import Attribute
from dcu.obis import format_obis, parse_obis

#: The descriptor that holds a meter's base names; no stream can be named so.
DESCRIPTOR = "@base-names"

_MISSING = object()
_NOTHING: Final[frozenset[Variable]] = frozenset()

#: Asks a meter for variables; one value or AccessError comes for each.
Ask = Callable[[Sequence[Variable]], Awaitable[list[Any]]]


class DescriptorStore(Protocol):
    """Where what a meter said of itself outlives a restart."""

    async def put(self, meter: str, name: str, data: Any) -> None: ...

    async def of(self, meter: str) -> Mapping[str, Any]: ...


class BaseNames:
    """The base names of all meters of the box, as far as they are known; meters that agree in them share one object."""

    def __init__(self, descriptors: DescriptorStore) -> None:
        self._descriptors = descriptors
        self._known: dict[str, ShortNames] = {}
        self._shared: dict[ShortNames, ShortNames] = {}
        # what has been asked for its logical name since the last doubt, by meter; meters asked alike share one set
        self._shown: dict[str, frozenset[Variable]] = {}
        self._alike: dict[frozenset[Variable], frozenset[Variable]] = {}

    async def of(self, meter: str) -> ShortNames | None:
        """Return the base names of `meter`, None when nobody has learned them. Raises StoreError."""
        if meter not in self._known:
            data = (await self._descriptors.of(meter)).get(DESCRIPTOR)
            if data is None:
                return None
            self._keep(meter, _names(data))
        return self._known[meter]

    async def learned(self, meter: str, names: ShortNames) -> None:
        """Keep what `meter` says now. Raises StoreError."""
        await self._descriptors.put(meter, DESCRIPTOR, _data(names))
        self._keep(meter, names)

    def shown(self, meter: str) -> frozenset[Variable]:
        """Return the names that have been shown to be what they are said to be."""
        return self._shown.get(meter, _NOTHING)

    def believe(self, meter: str, shown: Iterable[Variable]) -> None:
        """Take more names of `meter` for what they have been shown to be, until the next doubt."""
        known = self.shown(meter).union(shown)
        self._shown[meter] = self._alike.setdefault(known, known)

    def doubt(self, meter: str) -> None:
        """Another meter, or another program in it, may bear these names now."""
        self._shown.pop(meter, None)

    def _keep(self, meter: str, names: ShortNames) -> None:
        self._known[meter] = self._shared.setdefault(names, names)


class Naming:
    """The names in one conversation with `meter`; without `known` they are learned, and forgotten with it."""

    def __init__(self, meter: str, known: BaseNames | None) -> None:
        self._meter = meter
        self._known = known
        self._names: ShortNames | None = None
        # the meter's own words of this conversation
        self._told = False

    def doubt(self) -> None:
        """See to it that what is asked from now on is asked for its logical name before."""
        if self._known is not None:
            self._known.doubt(self._meter)

    @property
    def own_name(self) -> Read:
        """What every client may ask: whether the association still lives, whoever is asked by which names."""
        return Read((OWN_NAME,))

    async def variables(self, items: Sequence[Get], ask: Ask) -> list[Variable | None]:
        """Return how each of `items` is asked for, None for what the meter has not; raises what `names` raises."""
        names = await self.names(ask, [item.attribute for item in items])
        return [names.variable(item) for item in items]

    @staticmethod
    def told(variables: Sequence[Variable | None], answers: Sequence[Any]) -> list[Any]:
        """Return the results of what was asked as `variables`: the `answers` to those that are, UNDEFINED for None.

        They end where the answers do.
        """
        results: list[Any] = []
        left = iter(answers)
        for variable in variables:
            answer = UNDEFINED if variable is None else next(left, _MISSING)
            if answer is _MISSING:
                break
            results.append(answer)
        return results

    async def written(self, request: Set | Action, ask: Ask) -> Write | AccessError:
        """Return how `request` is said, or why it cannot be; raises what `names` raises, NotServedError for methods."""
        if isinstance(request, Action):
            raise NotServedError("no method is invoked by a short name")
        return (await self.names(ask, [request.attribute])).write(request) or UNDEFINED

    async def names(self, ask: Ask, attributes: Iterable[Attribute] = ()) -> ShortNames:
        """Return the names that hold for `attributes`; raises what `ask` raises, MeterError and StoreError.

        Those of an earlier conversation are believed when the last object is still where they say, and, since the last
        doubt, each that is asked for: else a value would be another's, and nobody would notice.
        """
        if self._told and self._names is not None:
            return self._names
        kept = self._names or (await self._known.of(self._meter) if self._known else None)
        self._names = kept if kept and await self._holds(kept, attributes, ask) else await self._learn(ask)
        return self._names

    async def _holds(self, names: ShortNames, attributes: Iterable[Attribute], ask: Ask) -> bool:
        assert self._known is not None
        shown = self._known.shown(self._meter)
        doubted = {} if names is self._names else dict((names.witness,))
        for attribute in attributes:
            doubted |= {each: name for each, name in names.logical_name(attribute).items() if each not in shown}
        if not doubted:
            return True
        if await ask(list(doubted)) != list(doubted.values()):
            return False
        self._known.believe(self._meter, doubted)
        return True

    async def _learn(self, ask: Ask) -> ShortNames:
        (value,) = await ask([OBJECT_LIST])
        if isinstance(value, AccessError):
            raise MeterError(f"the meter does not tell its base names: {value}")
        names = ShortNames.from_value(value)
        self._told = True
        if self._known is not None:
            await self._known.learned(self._meter, names)
        return names


def _data(names: ShortNames) -> list[Any]:
    return [[each.base, each.class_id, format_obis(each.name)] for each in names.objects]


def _names(data: Sequence[Any]) -> ShortNames:
    return ShortNames.of(ShortObject(base, class_id, parse_obis(name)) for base, class_id, name in data)
