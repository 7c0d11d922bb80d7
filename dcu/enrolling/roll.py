"""The meters that take part, and what every room has to learn when one comes or goes while the daemon runs.

Who comes and goes is decided in `enrol`.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass

from dcu.archive import Archive
from dcu.errors import CommandRejected
from dcu.events import describe
from dcu.model import Access, Capture, Keys, Meter, Visit
from dcu.polling.poll import Poll
from dcu.profiles import CompanionProfile


class EventNames:
    """Describes an event by the profile of its meter.

    A meter that has gone may have events on their way still, so none is forgotten before the next start.
    """

    def __init__(self, profiles: Mapping[str, CompanionProfile]) -> None:
        self._profiles = dict(profiles)

    def learn(self, meter: str, profile: CompanionProfile) -> None:
        self._profiles[meter] = profile

    def __call__(self, capture: Capture) -> Mapping[str, object]:
        """Return what a message tells of it; of a meter that is not known, that nothing is known."""
        profile = self._profiles.get(capture.meter)
        return {"event": None, "severity": None} if profile is None else describe(profile, capture)


@dataclass(slots=True, kw_only=True)
class Roll:
    """The meters of one box in all its rooms.

    `about` is what every birth repeats; `end` ends the commands for a meter that goes, with the reason; `forget` drops
    the secrets that were changed in a device which is not there any more.
    """

    archive: Archive
    polls: Mapping[str, Poll]
    keys: MutableMapping[str, Keys]
    access: MutableMapping[str, Access]
    names: EventNames
    about: MutableMapping[str, object]
    end: Callable[[str, str], Awaitable[None]]
    forget: Callable[[str], None]

    def knows_profile(self, name: str) -> bool:
        return self.archive.knows_profile(name)

    def take_in(self, meter: Meter, keys: Keys, profile: CompanionProfile | None) -> None:
        """Let a meter take part from now on; everything of it is due at once."""
        self.archive.add(meter, profile)
        self.keys[meter.id] = keys
        self.access.update(self.archive.profile(meter.id).access)
        self.names.learn(meter.id, self.archive.profile(meter.id))
        self.polls[meter.bus].take_in(meter)
        self.about["meters"] = len(self.archive)

    async def let_go(self, meter: str, reason: str) -> None:
        """Let a meter take part no more, after a visit to it that is under way; its commands end with `reason`."""
        await self.polls[self.archive.meter(meter).bus].let_go(meter)
        self.archive.remove(meter)
        self.keys.pop(meter, None)
        self.about["meters"] = len(self.archive)
        await self.end(meter, reason)

    def among(self, targets: str) -> list[str]:
        """Return the meters that a command to "all", or to "group NAME", is for."""
        return [each.id for each in self.archive.lines() if targets in {"all", f"group {each.group}"}]

    def begin_anew(self, meter: str, since: int) -> None:
        self.archive.begin_anew(meter, since)
        self.forget(meter)

    def submit(self, visit: Visit) -> None:
        """Queue a visit for a command on its meter's bus; raises CommandRejected."""
        if visit.meter not in self.archive:  # it went while the command was being journalled
            raise CommandRejected("no such meter any more")
        self.polls[self.archive.meter(visit.meter).bus].submit(visit)
