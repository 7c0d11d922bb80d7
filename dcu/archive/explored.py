"""What meters have of which the configuration tells nothing: explored once, kept over a restart, shared by their like.

How a meter is explored is said in `dcu.conversation.exploring`, which is loaded for such meters alone.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from dcu.conversation.session import Session
from dcu.profiles import CompanionProfile

#: Name of the descriptor that holds what a meter was found to have, beside its shapes; no stream can be called so.
EXPLORED = "@profile"


class Descriptors(Protocol):
    """Where what meters were learned to have outlives a restart."""

    async def put(self, meter: str, name: str, data: Any) -> None: ...

    async def of(self, meter: str) -> Mapping[str, Any]: ...


class Explored:
    """What was found, by meter; `profile` is the configured one, which says by `discovers` whether to look at all."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._found: dict[str, CompanionProfile] = {}
        # alike meters share one object
        self._alikes: dict[str, CompanionProfile] = {}
        # those of which what was found is another's: until they are explored anew, the same is expected of them
        self._strange: set[str] = set()

    def get(self, meter: str) -> CompanionProfile | None:
        return self._found.get(meter)

    async def explore(self, session: Session, meter: str, profile: CompanionProfile) -> CompanionProfile:
        """Ask the meter for its objects, and keep what it has; raises what `exploring.explore` raises."""
        from dcu.conversation import exploring  # noqa: PLC0415 - for meters of which nothing is known

        found = await exploring.explore(session, profile)
        if profile.discovers:
            await self._descriptors.put(meter, EXPLORED, exploring.to_data(found))
            self._found[meter] = self._alike(exploring.to_data(found), found)
        return found

    async def know(self, session: Session, meter: str, profile: CompanionProfile) -> None:
        """Have what a meter has that its configuration says nothing of; raises what `explore` raises."""
        if meter in self._strange or not await self.recall(meter, profile):
            await self.explore(session, meter, profile)
            self._strange.discard(meter)

    async def recall(self, meter: str, profile: CompanionProfile) -> bool:
        """Return whether it is known what `meter` has, as far as its configuration or what is kept tells."""
        if not profile.discovers or meter in self._found:
            return True
        from dcu.conversation import exploring  # noqa: PLC0415 - as above

        if data := (await self._descriptors.of(meter)).get(EXPLORED):
            self._found[meter] = self._alike(data, exploring.from_data(profile, data))
        return meter in self._found

    def doubt(self, meter: str) -> None:
        """Another device stands there: it is explored before it is read."""
        if meter in self._found:
            self._strange.add(meter)

    def forget(self, meter: str) -> None:
        self._found.pop(meter, None)
        self._strange.discard(meter)

    def _alike(self, data: Mapping[str, Any], profile: CompanionProfile) -> CompanionProfile:
        return self._alikes.setdefault(f"{profile.name} {data}", profile)
