"""One connection at a time over the best of several channels: watched over, left when it is dead or a better is back.

Which is next is decided in `channels`, whether one lives in `traffic`. A unit with one plain broker needs nothing here.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from dcu.clock import Clock, iso
from dcu.config import ChannelSettings, UplinkSettings
from dcu.errors import CommandRejected, StoreError, UnattendedError, UplinkError, first_words
from dcu.model import Command
from dcu.uplink.beside import beside
from dcu.uplink.budget import Budget
from dcu.uplink.channels import Channels, State, Way
from dcu.uplink.dial import dial
from dcu.uplink.link import Link, Uplink
from dcu.uplink.message import Outgoing
from dcu.uplink.renewal import Renewal
from dcu.uplink.tls import Contexts
from dcu.uplink.topics import Topics
from dcu.uplink.traffic import LOOKS, Pulse, Sign, idle_octets, noticed_within, traffic
from dcu.uplink.turns import Turns

log = structlog.get_logger()

#: Shares of `return_after` and of `every` over which a fleet is spread that goes back, or wakes up, together.
RETURN_SPREAD, WAKE_SPREAD = 0.25, 1 / 60

#: The name of the only channel where the configuration names none.
ONLY = "main"

#: Seconds between two looks at a connection whose silence is not watched, and two questions to a better channel.
LOOK = 5.0
PROBE_EVERY = 20.0

#: Seconds between two looks at the files of certificates.
RENEWAL_LOOK = 30.0

#: Seconds without anything under way after which all is said on a channel with a timetable, and how long data may wait
#: for a fuller block there.
QUIET = 60.0
SHORT_DELAY = QUIET / 2

#: Seconds that a connection which is left waits for what is under way, the farewell too.
LULL = 10.0

#: Seconds between two times that the octets taken are kept.
SAVE_EVERY = 300.0

#: Keeps an event of the box: its name, and what else is known.
Tell = Callable[..., Awaitable[None]]


#: Says to the broker that we go on purpose: why, and until when (UTC seconds). Raises UplinkError.
Farewell = Callable[[Link, str, float], Awaitable[None]]


async def untold(_name: str, **_detail: object) -> None:
    """Nobody keeps events."""


async def unsaid(_link: Link, _reason: str, _until: float) -> None:
    """Nobody is told that we sleep."""


@dataclass(slots=True)
class Account:
    """What became of a channel since the start."""

    tries: int = 0
    connections: int = 0
    error: str | None = None


@dataclass(slots=True)
class _Watched:
    """A connection under watch."""

    link: Link
    pulse: Pulse | None
    octets: int = 0
    leaving: float | None = None
    busy: float = 0.0


class Ways:
    """The way to the broker as `Uplink` is one, over several channels, in the place of which it stands.

    `folder` is where the octets taken are kept; `tell` hears of a change of the channel, `about` is told its name
    before the birth is written.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        dcu: str,
        clock: Clock,
        folder: Path,
        tell: Tell = untold,
        about: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._plans = {plan.name: plan for plan in settings.channels or (ChannelSettings(ONLY),)}
        ways = [way for plan in self._plans.values() for way in _ways(plan, settings)]
        self._contexts = None if settings.tls is None else Contexts(settings.tls)
        narrowed = {way: _narrowed(settings, self._plans[way.channel], way) for way in ways}
        spent = {name: partial(self._spend, name) for name in self._plans}
        self._uplinks = {way: Uplink(narrowed[way], dcu, self._contexts, spent[way.channel]) for way in ways}
        self.channels = Channels(ways, settings.return_after)
        self.backoff = Turns(self.channels, settings.connect_spread)
        self.topics = Topics(settings.prefix, dcu, settings.groups)
        self.accounts = {name: Account() for name in self._plans}
        self.commands: Mapping[str, Callable[[Command], Awaitable[dict[str, Any]]]] = {
            "dcu.uplink": self._show,
            "dcu.switch-uplink": self._switch,
        }
        self._budget = Budget(folder / "uplink.json", clock.monotonic)
        self._renewal = None if settings.tls is None else Renewal(settings.tls)
        self._clock = clock
        self._tell = tell
        self.farewell: Farewell = unsaid
        self._about = about
        self._last: str | None = None
        self._begun, self._kept = False, clock.monotonic()
        self._look_now = asyncio.Event()

    @property
    def settings(self) -> UplinkSettings:
        """The settings; a fleet is spread before the first connection and after a rest, not at a change of channel."""
        return replace(self._settings, connect_spread=0.0) if self._begun else self._settings

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        """Connect by the way whose turn it is, as `Uplink.connect`. Raises UplinkError."""
        way, self._begun = self.channels.way, True
        account = self.accounts[way.channel]
        account.tries += 1
        opened = False
        if self._renewal:
            self._renewal.used()
            await self._warn(self._renewal, None)  # one that has ended may be why there is no connection
        try:
            async with self._uplinks[way].connect(will) as link:
                opened = True
                was = self._open(way, link)
                async with beside(link, self._watch(link, way, was), self._probe(), self._certify(link)):
                    yield link
        except Exception as error:
            account.error = first_words(error)
            if ExceptionGroup("", [error]).subgroup(UnattendedError):
                self.channels.walk(self._around(), self._clock.monotonic())
            raise
        finally:
            if opened:
                self.channels.lost(self._clock.monotonic())
                self._keep()
            else:
                self.channels.failed()
                self._keep_at_times()

    @property
    def elsewhere(self) -> bool:
        """Whether another broker may be looked at for who is to hear us."""
        return len(self._around()) > 1

    def _around(self) -> list[Way]:
        """Return the way in use and those to other brokers, without what costs money: readings can wait for a host."""
        used = self.channels.way
        free = [way for way in self._uplinks if not self._plans[way.channel].metered]
        others = [way for way in free if way == used or (way.host, way.port) != (used.host, used.port)]
        return others if used in free else [used]

    def _open(self, way: Way, link: Link) -> str | None:
        """Take note of a connection; return the channel of the one before."""
        account, plan = self.accounts[way.channel], self._plans[way.channel]
        account.connections += 1
        account.error = None
        # a fleet that fell together must not go back together
        spread = max(self._settings.connect_spread, self._settings.return_after * RETURN_SPREAD)
        self.channels.opened(self._clock.monotonic(), random.uniform(0, spread))  # noqa: S311 - a mere spread
        link.admits, link.metered = partial(self._admits, plan), plan.metered
        if plan.every is not None:
            link.longest_delay = SHORT_DELAY
        self._about(way.channel)
        log.info("channel open", channel=way.channel, broker=f"{way.host}:{way.port}")
        last, self._last = self._last, way.channel
        return last

    def _admits(self, plan: ChannelSettings, stream: str) -> bool:
        """Whether data of `stream` may leave by this channel now."""
        if plan.carries is not None and stream not in plan.carries:
            return False
        return plan.budget is None or self._budget.taken(plan.name, self._today()) < plan.budget

    def _today(self) -> float | None:
        return self._clock.now() if self._clock.trusted() else None

    async def _watch(self, link: Link, way: Way, was: str | None) -> None:
        silence = self._uplinks[way].settings.silence
        now = self._clock.monotonic()
        watched = _Watched(link, None if silence is None else Pulse(silence, now), busy=now)
        if was is not None and was != way.channel:
            await self._tell("uplink channel changed", channel=way.channel, was=was, why=self.accounts[was].error)
        try:
            while True:
                self._look_now.clear()
                self.step(watched, way)
                await self._tire(watched, self._plans[way.channel].every)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK if silence is None else min(LOOK, silence / LOOKS)):
                        await self._look_now.wait()
        finally:
            self._count(watched, way)

    def step(self, watched: _Watched, way: Way) -> None:
        """Look at a connection once: count what passed, ask whether it lives, end it when it does not or is left."""
        now = self._clock.monotonic()
        self._count(watched, way)
        self._keep_at_times()
        self._feel(watched, now)
        if self.channels.state is State.LEAVING:
            watched.leaving = now if watched.leaving is None else watched.leaving
            if watched.link.idle or now - watched.leaving >= LULL:
                asleep = self.backoff.sleep is not None
                watched.link.client.end("asleep by its timetable" if asleep else "left for another channel")

    async def _tire(self, watched: _Watched, every: float | None) -> None:
        """Let a channel with a timetable sleep when all is said, that too. Raises UplinkError."""
        now = self._clock.monotonic()
        if not watched.link.idle:
            watched.busy = now
        elif every is not None and now - watched.busy >= QUIET and self.channels.state is State.ON:
            late = random.uniform(0, every * WAKE_SPREAD)  # noqa: S311 - a fleet wakes up over a minute of each hour
            sleep = every - self._clock.now() % every + late
            with suppress(TimeoutError):  # who does not answer is no reason to stay awake
                async with asyncio.timeout(LULL):
                    await self.farewell(watched.link, "sleep", self._clock.now() + sleep)
            self._lie_down(sleep)

    def _lie_down(self, sleep: float) -> None:
        """Have the connection ended for `sleep` seconds, unless somebody wants it elsewhere meanwhile."""
        if self.channels.state is State.ON:
            self.channels.sleep()
            self.backoff.sleep = sleep
            self._look_now.set()

    def _feel(self, watched: _Watched, now: float) -> None:
        counted = traffic(watched.link.client.line)
        if watched.pulse is None or counted is None:
            return
        match watched.pulse.look(now, counted):
            case Sign.PING:
                watched.link.client.ping()
            case Sign.LOST:
                watched.link.client.end(f"nothing came through for {watched.pulse.silence:g} s")
            case Sign.FINE:
                pass

    def _count(self, watched: _Watched, way: Way) -> None:
        counted = traffic(watched.link.client.line)
        if counted is not None and self._plans[way.channel].metered:
            self._budget.take(way.channel, counted.octets - watched.octets, self._today())
            watched.octets = counted.octets

    def _spend(self, channel: str, line: socket.socket) -> None:
        """Count what a try took of which no connection came, a question to a better channel among them."""
        counted = traffic(line)
        if counted is not None and self._plans[channel].metered:
            self._budget.take(channel, counted.octets, self._today())

    async def _probe(self) -> None:
        """Ask the better channels again and again whether they are there, without a connection of MQTT."""
        while self.channels.better:
            await asyncio.sleep(PROBE_EVERY)
            for name, ways in self.channels.better.items():
                well = await self._answers(ways)
                self.channels.answered(name, self._clock.monotonic(), well=well)
            if self.channels.state is State.LEAVING:
                self._look_now.set()

    async def _certify(self, link: Link) -> None:
        """Look after the certificates of this connection."""
        while self._renewal is not None:
            await self.certify(self._renewal, link)
            await asyncio.sleep(RENEWAL_LOOK)

    async def certify(self, renewal: Renewal, link: Link) -> None:
        """Look once whether files were renewed or end soon. Raises StoreError."""
        line = link.client.line
        brokers = line.getpeercert(binary_form=True) if isinstance(line, ssl.SSLSocket) else None
        await self._warn(renewal, brokers)
        try:
            if renewal.changed():
                self.channels.renew()
                self._look_now.set()
        except UplinkError as error:
            await self._tell("certificate unusable", why=str(error))

    async def _warn(self, renewal: Renewal, brokers: bytes | None) -> None:
        if self._clock.trusted():
            for found in renewal.ending(self._clock.now(), brokers):
                await self._tell("certificate expires", **found)

    async def _answers(self, ways: list[Way]) -> bool:
        for way in ways:
            route = self._uplinks[way].route
            with suppress(OSError, UplinkError):
                context = None if self._contexts is None else self._contexts.fresh()
                route.drop(await dial(way.host, way.port, context, route))
                return True
        return False

    async def _show(self, _command: Command) -> dict[str, Any]:
        return self.describe()

    async def _switch(self, command: Command) -> dict[str, Any]:
        name = command.args.get("channel")
        if name is not None and name not in self._plans:
            raise CommandRejected(f"args.channel: expected one of {', '.join(self._plans)}")
        self.channels.prefer(None if name is None else str(name))
        self.backoff.asleep, self.backoff.sleep = False, None
        self._look_now.set()
        return self.describe()

    def describe(self) -> dict[str, Any]:
        """Return what `dcu.uplink` shows, JSON-able."""
        return {
            "state": self.channels.state.value,
            "channel": self.channels.way.channel,
            "broker": f"{self.channels.way.host}:{self.channels.way.port}",
            "preferred": self.channels.preferred,
            "at": iso(int(self._clock.now())),
            "channels": [self._described(plan) for plan in self._plans.values()],
        }

    def _described(self, plan: ChannelSettings) -> dict[str, Any]:
        ways = [way for way in self._uplinks if way.channel == plan.name]
        settings, account = self._uplinks[ways[0]].settings, self.accounts[plan.name]
        rhythm = settings.keepalive, settings.silence
        return {
            "name": plan.name,
            "cost": "metered" if plan.metered else "free",
            "brokers": [f"{way.host}:{way.port}" for way in ways],
            "interface": settings.interface,
            "source": settings.source,
            "noticed_within": noticed_within(*rhythm),
            "idle_octets": idle_octets(*rhythm, tls=settings.tls is not None),
            "taken": self._budget.taken(plan.name, self._today()) if plan.metered else None,
            "budget": plan.budget,
            "carries": None if plan.carries is None else sorted(plan.carries),
            "tries": account.tries,
            "connections": account.connections,
            "error": account.error,
        }

    def _keep_at_times(self) -> None:
        if self._clock.monotonic() - self._kept >= SAVE_EVERY:
            self._keep()

    def _keep(self) -> None:
        self._kept = self._clock.monotonic()
        try:
            self._budget.save()
        except StoreError as error:  # the count goes on in memory; a full disk is told of by the store
            log.warning("octets taken are not kept", error=str(error))


def plain(
    command: Command, settings: UplinkSettings, clock: Clock, account: Account, *, connected: bool
) -> dict[str, Any]:
    """Return what is answered for one plain broker, whose `account` another keeps. Raises CommandRejected."""
    if command.name != "dcu.uplink":
        raise CommandRejected("there is one channel: the section uplink names no others")
    ways = Ways(settings, "dcu", clock, Path())
    ways.accounts = dict.fromkeys(ways.accounts, account)
    return ways.describe() | {"state": (State.ON if connected else State.AWAY).value}


def _ways(plan: ChannelSettings, settings: UplinkSettings) -> list[Way]:
    brokers = plan.brokers or ((settings.host, settings.port),)
    return [Way(plan.name, host, port or settings.port) for host, port in brokers]


def _narrowed(settings: UplinkSettings, plan: ChannelSettings, way: Way) -> UplinkSettings:
    """Return the settings of one way: what the channel does not say is as for all."""
    own = {key: getattr(plan, key) for key in ("interface", "source", "keepalive", "silence")}
    said = {key: value for key, value in own.items() if value is not None}
    return replace(settings, host=way.host, port=way.port, **said)
