"""The flow up: store → uplink, and commands from the uplink to whoever journals them.

AWAY ──back-off, spread──► CONNECTING ──birth acknowledged, subscribed──► SENDING ──stop──► stopped
  ▲ UplinkError at any point, missing PUBACK included                        │
  └──────────────────────────────────────────────────────────────────────────┘
A block leaves the store's outbox when the broker has acknowledged all of it, or, where that is so configured, the
head-end; until then every new connection sends it again, under the same sequence number. What is sent, and in which
words, is `messages`; when a block is allotted its number is the store's.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from dcu.clock import Clock
from dcu.config import UplinkSettings
from dcu.delivery.awaiting import Awaiting
from dcu.delivery.dialect import Dialect, Owed
from dcu.delivery.heeding import Heeding
from dcu.delivery.outbox import Outbox
from dcu.delivery.replies import Replies
from dcu.delivery.resting import Resting
from dcu.delivery.sending import Delivery, Sending
from dcu.delivery.standing import MeterStates
from dcu.delivery.strikes import Key, Strikes
from dcu.errors import CommandRejected, SentAwayError, UnattendedError, UplinkError, first_words
from dcu.health import Progress
from dcu.messages.acknowledgement import parse_acknowledgement
from dcu.messages.envelope import urgent
from dcu.uplink import Backoff, Incoming, Link, Outgoing, Topics
from dcu.uplink.backoff import STEADY

log = structlog.get_logger()

#: Seconds between two health messages, also where octets cost money, and for the last words of a clean stop.
HEALTH_PERIOD, METERED_HEALTH_PERIOD = 60.0, 900.0
STOP_TIMEOUT = 1.5

#: Seconds between two looks for something urgent while the uplink sleeps by its timetable.
WAKE_LOOK = 5.0

#: Periods after which a broker forgets a health message (MQTT 5): what is older says nothing of the health.
HEALTH_EXPIRY = 5

#: Who journals a command: (topic, payload). It returns when the command is safe; then the broker may forget it.
OnCommand = Callable[[str, bytes], Awaitable[None]]


class Broker(Protocol):
    """What this flow needs of the uplink."""

    topics: Topics

    @property
    def settings(self) -> UplinkSettings: ...

    def connect(self, will: Outgoing) -> AbstractAsyncContextManager[Link]:
        """Raises UplinkError."""


@dataclass(slots=True, kw_only=True)
class Deliver:
    """Delivers for as long as `run` runs.

    `health` gives the figures of the health message, `states` tells how meters stand.
    """

    store: Outbox
    uplink: Broker
    dialect: Dialect
    clock: Clock
    on_command: OnCommand
    health: Callable[[], Mapping[str, object]] = dict
    backoff: Backoff = field(default_factory=Backoff)
    progress: Progress = field(default_factory=lambda: Progress(0.0))
    figures: Delivery = field(default_factory=Delivery)
    states: MeterStates | None = None
    stop_reason: str = "stop"
    wanted: deque[Key] = field(default_factory=deque)
    resting: Resting = field(default_factory=Resting)
    awaiting: Awaiting = field(init=False)
    _replies: Replies = field(init=False)
    _heeding: Heeding = field(init=False)
    _strikes: Strikes = field(default_factory=Strikes)
    _due: dict[str, float] = field(default_factory=dict)
    _sending: Sending | None = None

    def __post_init__(self) -> None:
        self.awaiting = Awaiting(self.uplink.settings.patience)
        self._replies = Replies(self.uplink.settings.prefix)
        self._heeding = Heeding(store=self.store, awaiting=self.awaiting, released=self._released)

    async def run(self) -> None:
        """Keep a connection for ever; ends when cancelled. Raises StoreError (in an ExceptionGroup)."""
        while True:
            await self._rest(random.uniform(0, self.uplink.settings.connect_spread))  # noqa: S311 - a mere spread
            await self.step()
            await self._rest(self.backoff.delay())
            self.backoff.asleep = False

    async def step(self) -> None:
        """One connection, from CONNECT to its loss. Returns when it is lost or could not be had."""
        began = self.clock.monotonic()
        self.figures.tries += 1
        self._alive()
        try:
            async with self.uplink.connect(self.dialect.will()) as link:
                await self._live(link)
        except* UplinkError as lost:
            self.figures.error = first_words(lost)
            if lost.subgroup(SentAwayError):
                self.backoff.hold()
            log.warning("uplink lost", error=self.figures.error)
        finally:
            self.figures.connected, self.figures.in_flight = False, 0
        if self.clock.monotonic() - began > self.backoff.cap:
            self.backoff.reset()
        _end_if_cancelled()

    async def _rest(self, seconds: float) -> None:
        """Wait; a sleep ends when something urgent waits, or when somebody else ends it."""
        asleep = self.backoff.asleep
        slice_ = WAKE_LOOK if asleep else HEALTH_PERIOD
        while seconds > 0 and not (asleep and await self._woken()):
            self._alive()
            await asyncio.sleep(min(seconds, slice_))
            seconds -= slice_

    async def _woken(self) -> bool:
        if not self.backoff.asleep:
            return True
        for stream, rows in (await self.store.waiting()).items():
            if urgent(stream) and not self.resting.waits(stream) and (rows or await self._owed(stream)):
                return True
        return False

    async def _owed(self, stream: str) -> bool:
        """Whether there is a block with a number that the broker has not got, and that holds up nothing."""
        return any(
            not (self.awaiting.holds(stream, seq) or self._strikes.suspect((stream, seq)))
            for seq in await self.store.owed(stream)
        )

    async def _live(self, link: Link) -> None:
        began = self.clock.monotonic()
        try:
            self._alive()
            await self._greet(link)
            await self._exchange(link)
        except asyncio.CancelledError:
            await self._farewell(link)
            raise
        finally:
            if self.clock.monotonic() - began >= STEADY:
                self.backoff.reset()

    async def _greet(self, link: Link) -> None:
        """Subscribe, then birth: who reads `online` may send commands. Both in one round trip, in this order."""
        acks = () if self.awaiting.patience is None else (self.uplink.topics.ack,)
        owed = Owed(await self.store.streams(), await self.store.least_owed(), await self.store.pending())
        births = map(link.publish, self.dialect.births(owed, link.version, link.max_payload))
        subscribing = link.subscribe(*self.uplink.topics.subscriptions, *acks, *self.dialect.hears)
        for outcome in await asyncio.gather(subscribing, *births, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        figures = self.figures
        figures.connected, figures.since, figures.mqtt = True, self.clock.now(), link.version
        figures.error = self.dialect.waits
        figures.connections += 1
        log.info("uplink connected", mqtt=link.version, window=link.window)

    async def _exchange(self, link: Link) -> None:
        self.resting.at(link.broker)
        sending = self._sending = Sending(
            store=self.store,
            link=link,
            dialect=self.dialect,
            settings=self.uplink.settings.stream,
            figures=self.figures,
            strikes=self._strikes,
            alive=self._alive,
            awaiting=self.awaiting,
            wanted=self.wanted,
            due=self._due,
            replies=self._replies,
            resting=self.resting,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(link, sending))
                group.create_task(self._heeding.run())
                group.create_task(self._report(link))
                group.create_task(sending.follow())
                if self.states is not None and not link.metered:
                    group.create_task(self.states.run(link))
                # In the body, not as a fourth task: only so does the group settle its own cancelling of this task,
                # which `_end_if_cancelled` relies on (Python 3.11).
                await sending.run(group)
        except* UplinkError:
            if self.dialect.over:
                await self._farewell(link)
            else:
                await self._blame(sending.oldest)
            self._replies.forget()
            raise

    async def _blame(self, oldest: Key | None) -> None:
        if oldest is not None and not self._strikes.blame(oldest):
            await self.resting.refused(oldest[0], "connections break at it")

    async def _farewell(self, link: Link) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.dialect.farewell(link, self.stop_reason)
        except (UplinkError, TimeoutError) as error:
            log.warning("stopped without farewell", error=str(error))

    def resend(self) -> None:
        """There is something in `wanted`, the blocks that were asked for again."""
        if self._sending is not None:
            self._sending.look()

    def _released(self, words: Mapping[str, int]) -> None:
        if self._sending is not None:
            self._sending.acknowledged(words)

    async def _listen(self, link: Link, sending: Sending) -> None:
        async with aclosing(link.messages()) as messages:
            async for message in messages:
                if message.topic == self.uplink.topics.ack:
                    _heed(message.payload, self._heeding)
                elif message.topic in self.dialect.hears:
                    self._hear(message, sending)
                elif message.retained:
                    # it would be heard at each new session, and first of all by a box that was put in another's place
                    log.warning("a retained command is not taken", topic=message.topic)
                elif not message.payload:
                    log.info("what was retained was cleared", topic=message.topic)
                else:
                    self.figures.commands += 1
                    self._replies.heard(message.payload, message.reply)
                    await self.on_command(message.topic, message.payload)
                link.acknowledge(message)

    def _hear(self, message: Incoming, sending: Sending) -> None:
        """Take what is said in the dialect. Raises UnattendedError when that ends the connection."""
        try:
            self.dialect.heard(message.topic, message.payload)
        except CommandRejected as rejection:
            log.warning("request not understood", reason=str(rejection))
        self.figures.error = self.dialect.waits
        if self.dialect.over:
            raise UnattendedError(self.dialect.waits or "sent away")
        sending.look()

    async def _report(self, link: Link) -> None:
        while True:
            period = METERED_HEALTH_PERIOD if link.metered else HEALTH_PERIOD
            expiry = int(HEALTH_EXPIRY * period)
            # many lines, a small broker: the rest is worth more than nothing
            told = self.dialect.envelopes.healths(self.clock.now(), self.health())
            if (payload := next((each for each in told if len(each) <= link.max_payload), None)) is None:
                log.error("health is not told", limit=link.max_payload)
            else:
                await link.publish(Outgoing(self.uplink.topics.health, payload, qos=0, retain=True, expiry=expiry))
            await asyncio.sleep(period)

    def _alive(self) -> None:
        self.progress.mark(self.clock.monotonic())


def _heed(payload: bytes, heeding: Heeding) -> None:
    try:
        words = parse_acknowledgement(payload)
    except CommandRejected as rejection:
        log.warning("acknowledgement not understood", reason=str(rejection))
    else:
        heeding.hear(words)


def _end_if_cancelled() -> None:
    """A task group that fails in the instant it is cancelled reports the failure only (before Python 3.13)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
