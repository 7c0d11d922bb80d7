"""Assembly: builds everything from a checked configuration, runs the flows in one task group, ends in order.

STARTING ──store open──► READY ──SIGTERM, SIGINT──► STOPPING: buses, commands, uplink, then the store
A flow that loses the store is reported and started again (`guarding`), and all are built anew over a store that has to
be opened anew (`serving`); any other error is our bug: all ends, systemd restarts.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from dcu import __version__
from dcu.archive import Archive, Kept
from dcu.bus import Port, make_port
from dcu.clock import Clock, SystemClock
from dcu.config import BusConfig, Config
from dcu.conversation.held import Held
from dcu.conversation.invocations import Invocations
from dcu.conversation.keychange import KeyChanges
from dcu.conversation.opening import SessionMaker, base_names
from dcu.delivery.deliver import Broker, Deliver
from dcu.delivery.dialect import Dialect
from dcu.delivery.resting import Resting
from dcu.delivery.sending import Delivery
from dcu.delivery.standing import MeterStates
from dcu.dlms.cosem import UNITS
from dcu.enrolling.enrol import Enrolment
from dcu.enrolling.roll import EventNames, Roll
from dcu.events import EventSieve
from dcu.guarding import Guard
from dcu.health import Health
from dcu.host.discipline import discipline_of
from dcu.host.ending import END_UPLINK, END_WORKERS, finish
from dcu.host.heap import settle
from dcu.host.local import LocalDoor
from dcu.host.notify import notify
from dcu.keeping.shelter import Shelter, Sheltered
from dcu.keeping.stored import StoredReadings
from dcu.keeping.storekeeping import Storekeeping
from dcu.keeping.upkeep import Upkeep
from dcu.messages.envelope import Envelopes
from dcu.model import Command, Reach, Reason
from dcu.obeying.asked import refuse_unknown
from dcu.obeying.obey import Obey
from dcu.plan import BusPlan
from dcu.plan.airtime import Forecast, Measured, Pieces
from dcu.polling.clocks import Clocks
from dcu.polling.poll import Poll
from dcu.polling.presence import device
from dcu.profiles import CompanionProfile
from dcu.report import Reporter
from dcu.store import Store, vault_for
from dcu.uplink import Backoff, Uplink
from dcu.watching.completeness import Completeness
from dcu.watching.drifts import Drifts
from dcu.watching.forecasts import foresee
from dcu.watching.history import STEP as HISTORY_STEP
from dcu.watching.history import History
from dcu.watching.reachability import Reachability
from dcu.watching.status import Status
from dcu.watching.timekeeping import Timekeeping
from dcu.watching.workload import Workload

if TYPE_CHECKING:
    from dcu.polling.pushes import Pushes  # loaded for buses whose meters may speak
    from dcu.uplink.ways import Ways

log = structlog.get_logger()


class Daemon:
    """All rooms of one box, wired. `run` once."""

    def __init__(
        self,
        config: Config,
        profiles: Mapping[str, CompanionProfile],
        store: Store,
        kept: Kept,
        clock: Clock,
        ports: Callable[[BusConfig], Port] = make_port,
        sheltered: Sheltered | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._ports = ports
        self._health = Health(started=clock.monotonic())
        self._invocations = Invocations(store.counters)
        self._base_names = base_names(config.access.values(), store.descriptors)
        self._keys = dict(config.keys)
        self._access = dict(config.access)
        for profile in profiles.values():
            self._access |= profile.access
        vault = vault_for(config.dcu.data, config.dcu.store_key)
        self._changes = KeyChanges(self._keys, config.new_keys, store.generations, vault, clock)
        self._shelter = Shelter(store.readings, clock, self._health, sheltered)
        self._reporter = Reporter(self._shelter, clock, config.dcu.id)
        self._shelter.report = self._reporter.report
        self._upkeep = Upkeep(store, self._reporter.report)
        self._storekeeping = self._make_storekeeping()
        self._delivery = Delivery()
        self._history = self._make_history()
        #: What visits take behind the network: gateways may be a thousand, with one meter each.
        self._beyond = Measured()
        #: The flow of each bus, by its name.
        self.polls: dict[str, Poll] = {}
        self._timetables = {"": config.timetable, **config.groups}
        self._archive = Archive(config.meters, profiles, self._timetables, store.descriptors, store.ledger, kept)
        self._workload = self._make_workload()
        self._status = Status(config, store, clock, self._health, self._delivery, self._changes, self._workload)
        self._names = EventNames({meter.id: profiles[meter.profile] for meter in config.meters})
        self._about: dict[str, object] = {
            "version": __version__,
            "revision": config.revision,
            "meters": len(config.meters),
            "buses": len(config.buses),
        }
        self._roll = self._make_roll()
        self._enrolment = Enrolment(config, store.lines, self._roll, self._reporter.report, clock, self._health)
        self._completeness = Completeness(
            store, self._archive, self._timetables, self._why, clock, self._health, self._reporter.report
        )
        self._reachability = self._make_reachability()
        self._obey = self._make_obey()
        self._obey.among = self._roll.among
        self._obey.device = partial(device, self._archive)
        self._ways = self._make_ways()
        self._deliver = self._make_deliver()
        tasks = chain(config.timetable, *config.groups.values())
        events = EventSieve(store.readings, self._archive.profile, (task.stream for task in tasks))
        for bus in config.buses:
            self.polls[bus.name] = self._make_poll(bus, events)

    def _make_storekeeping(self) -> Storekeeping:
        return Storekeeping(
            self._store,
            self._config.store,
            self._clock,
            self._reporter.report,
            self._health.watch("store room", self._clock.monotonic()),
            health=self._health,
        )

    def _make_history(self) -> History:
        counted = self._health, self._delivery, self._storekeeping
        watched = self._health.watch("history", self._clock.monotonic(), waits=HISTORY_STEP)
        return History(self._store.history, *counted, self._clock, watched)

    def _make_roll(self) -> Roll:
        return Roll(
            archive=self._archive,
            polls=self.polls,
            keys=self._keys,
            access=self._access,
            names=self._names,
            about=self._about,
            end=self._gone,
            forget=self._changes.forget,
        )

    def _make_reachability(self) -> Reachability:
        return Reachability(
            self._store.reaches,
            self._archive.lines,
            lambda meter: self.polls[meter.bus].plan.failures(meter.id),
            self._config.dcu.unreachable_after,
            self._clock,
            self._health,
            self._reporter.report,
        )

    def _make_workload(self) -> Workload:
        clock = self._clock
        return Workload(
            self.polls,
            self._foresee,
            clock,
            self._reporter.report,
            self._health.watch("workload", clock.monotonic()),
        )

    def _foresee(self) -> Pieces[Mapping[str, Forecast]]:
        measured = {name: poll.measured for name, poll in self.polls.items()}
        return foresee(self._config, self._archive.lines(), self._archive.profile_called, measured)

    def _make_obey(self) -> Obey:
        return Obey(
            self._store.commands,
            self._roll.submit,
            self._archive.__contains__,
            self.answer,
            self._clock,
            self._health,
            self._config.dcu.allow,
        )

    async def answer(self, command: Command) -> Mapping[str, Any]:
        """Return the result of a command about the box itself. Raises CommandRejected, StoreError."""
        await refuse_unknown(command, self._archive, self._store)
        drifts = Drifts(self._store.clocks, self._archive.names)
        stored = StoredReadings(self._store.readings, self._clock)
        rooms = (
            self._enrolment,
            self._completeness,
            self._reachability,
            drifts,
            self._storekeeping,
            stored,
            self._history,
        )
        if command.name in {"dcu.resend", "dcu.reconcile"}:
            from dcu.delivery.redelivery import Redelivery  # noqa: PLC0415 - for whose head-end asks

            past = Redelivery(self._store, self._deliver.wanted, self._deliver.resend)
            return await past.commands[command.name](command)
        if self._ways and command.name in self._ways.commands:
            return await self._ways.commands[command.name](command)
        known = (room.commands[command.name] for room in rooms if command.name in room.commands)
        return await next(known, self._status.answer)(command)

    def _why(self, meter: str) -> Reason:
        return self.polls[self._archive.meter(meter).bus].why(meter)

    async def _gone(self, meter: str, reason: str) -> None:
        await self._obey.gone(meter, reason)

    def _make_ways(self) -> "Ways | None":
        """Return what chooses between channels; a plain uplink has nothing to choose."""
        if self._config.uplink.plain:
            return None
        from dcu.uplink.ways import Ways  # noqa: PLC0415 - for who has more than one plain broker

        config, about = self._config, partial(self._about.__setitem__, "channel")
        return Ways(config.uplink, config.dcu.id, self._clock, Path(config.dcu.data), self._reporter.report, about)

    def _make_deliver(self) -> Deliver:
        config = self._config
        uplink: Broker = self._ways or Uplink(config.uplink, config.dcu.id)
        dialect = self._make_dialect(uplink)
        if self._ways:
            self._ways.farewell = dialect.farewell
        return Deliver(
            store=self._store.outbox,
            uplink=uplink,
            backoff=self._ways.backoff if self._ways else Backoff(),
            dialect=dialect,
            clock=self._clock,
            on_command=self._on_command,
            health=self._status.figures,
            figures=self._delivery,
            resting=Resting(self._reporter.report),
            # a PUBACK is waited for about as long as the broker may be silent
            progress=self._health.watch("deliver", self._clock.monotonic(), waits=config.uplink.longest_keepalive),
            states=self._meter_states(dialect) if config.uplink.meter_states else None,
        )

    def _make_dialect(self, uplink: Broker) -> Dialect:
        config = self._config
        envelopes = Envelopes(config.dcu.id, os.urandom(6).hex(), self._about, UNITS, self._names)
        if (spoken := config.uplink.sparkplug) is None:
            return Dialect(envelopes, uplink.topics, self._clock)
        from dcu.delivery.sparkplug import Sparkplug  # noqa: PLC0415 - for whose head-end speaks it
        from dcu.messages.edge_node import EdgeNode  # noqa: PLC0415 - as the next

        node = EdgeNode(spoken.group, config.dcu.id, {"version": __version__}, UNITS, envelopes.more)
        elsewhere: Callable[[], bool] = bool if (ways := self._ways) is None else lambda: ways.elsewhere
        return Sparkplug(envelopes, uplink.topics, self._clock, node, self._lost, spoken.host, elsewhere)

    def _lost(self, meter: str) -> bool:
        standing = self._reachability.standing(meter)
        return meter not in self._archive or (standing is not None and standing.state is Reach.UNREACHABLE)

    def _meter_states(self, dialect: Dialect) -> MeterStates:
        return MeterStates(
            lambda: self._archive.names, self._reachability.standing, dialect.envelopes, dialect.topics, self._clock
        )

    def _make_poll(self, bus: BusConfig, events: EventSieve) -> Poll:
        config, clock = self._config, self._clock
        meters = {meter.id: meter.group for meter in config.meters if meter.bus == bus.name}
        sessions = SessionMaker(
            bus,
            self._access,
            self._keys,
            config.dcu.system_title,
            self._invocations,
            changes=self._changes,
            names=self._base_names,
        )
        return Poll(
            name=bus.name,
            port=self._ports(bus),
            plan=BusPlan(
                meters,
                {"": config.timetable, **config.groups},
                now=clock.monotonic(),
                wall=clock.now(),
                dead_share=bus.dead_share,
                stagger=bus.stagger or 0.0,
            ),
            archive=self._archive,
            events=events,
            sessions=sessions,
            held=Held(sessions, bus.keep_open, clock),
            measured=self._beyond if bus.on_network else Measured(),
            moments=self._health.moments,
            store=self._shelter,
            clock=clock,
            health=self._health.bus(bus.name),
            progress=self._health.watch(f"bus {bus.name}", clock.monotonic()),
            orders=self._obey,
            report=self._reporter.report,
            reached=self._reachability.visited,
            clocks=Clocks(config.clock, self._archive, sessions, self._store.clocks, clock, self._reporter.report),
            pushes=self._pushes(bus, events, sessions) if bus.push else None,
            discovery=self._enrolment.search(bus, self._archive, sessions),
        )

    def _pushes(self, bus: BusConfig, events: EventSieve, sessions: SessionMaker) -> "Pushes":
        from dcu.polling.pushes import Pushes  # noqa: PLC0415 - for buses whose meters may speak

        known = self._archive, sessions, events, self._shelter, self._clock
        return Pushes(bus.name, bus.framing, *known, self._health.bus(bus.name), self._reporter.report)

    def _timekeeping(self) -> Timekeeping:
        clock = self._clock
        return Timekeeping(
            clock,
            self._reporter.report,
            last=lambda: clock.last if isinstance(clock, SystemClock) else None,
            save=discipline_of(self._config).save,
            progress=self._health.watch("clock", clock.monotonic()),
        )

    async def _on_command(self, _topic: str, payload: bytes) -> None:
        await self._obey.receive(payload)

    async def run(self, stop: asyncio.Event) -> None:
        """Run every flow until `stop` is set, then end in order. Raises StoreError when it cannot begin."""
        await self._changes.load()
        await self._enrolment.load()
        for meter in await self._reachability.load():
            if meter in self._archive:
                self.polls[self._archive.meter(meter).bus].plan.presume_unreachable(meter, self._clock.monotonic())
        for poll in self.polls.values():
            await poll.clocks.load(poll.plan.__contains__)
        door = LocalDoor(Path(self._config.dcu.socket), self._obey.lines)
        guards = Guard(self._store.database, self._clock, self._health)
        guard = guards.guard
        settle()
        async with asyncio.TaskGroup() as group:
            flows = {f"bus {name}": poll.run for name, poll in self.polls.items()} | self.flows()
            workers = [group.create_task(guard(name, run)) for name, run in flows.items()]
            workers.append(group.create_task(door.run()))
            deliver = group.create_task(guard("deliver", self._deliver.run))
            watchdog = group.create_task(guards.watch(self._status.line))
            notify("READY=1")
            log.info("ready", meters=len(self._archive), buses=len(self.polls))
            await self._over(stop)
            log.info("stopping", store=self._store.database.found and self._store.database.found.reason)
            await finish(workers, END_WORKERS)
            # upward goes last: it tells the head-end that we stop
            await finish([deliver, watchdog], END_UPLINK)

    def flows(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the small flows by the names under which they are watched."""
        return {
            "clock": self._timekeeping().run,
            "reachability": self._reachability.run,
            "workload": self._workload.run,
            "store": self._upkeep.run,
            "store room": self._storekeeping.run,
            "obey": self._obey.run,
            "completeness": self._completeness.run,
            "history": self._history.run,
        }

    async def _over(self, stop: asyncio.Event) -> None:
        """Wait for `stop`, or until the store has to be opened anew."""
        waiting = [asyncio.create_task(event.wait()) for event in (stop, self._store.database.broken)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if stop.is_set():
            notify("STOPPING=1")
        else:
            self._deliver.stop_reason = "store"
