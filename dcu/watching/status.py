"""The running state of the box in one place: for `dcu.status`, the health message and systemd's status line.

It only reads what flows count and the store holds; nothing here decides or acts.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dcu import __version__
from dcu.clock import Clock
from dcu.config import Config
from dcu.conversation.keychange import KeyChanges
from dcu.delivery.sending import Delivery
from dcu.health import Health
from dcu.model import Command
from dcu.polling.poll import Poll
from dcu.store import Store
from dcu.watching.auditing import head, shown, verified
from dcu.watching.workload import Workload


class Status:
    """Describes a running daemon."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Clock,
        health: Health,
        delivery: Delivery,
        changes: KeyChanges,
        workload: Workload,
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._health = health
        self._delivery = delivery
        self._changes = changes
        self._workload = workload

    def figures(self) -> dict[str, Any]:
        """Return what is counted in memory, JSON-able."""
        now = self._clock.monotonic()
        uptime = now - self._health.started
        return {
            "dcu": self._config.dcu.id,
            "version": __version__,
            "uptime": round(uptime, 1),
            "meters": sum(len(poll.plan) for poll in self._workload.polls.values()),
            "clock": {"now": self._clock.now(), "trusted": self._clock.trusted(), "state": self._clock.state()},
            "problems": self._problems(now),
            "buses": {name: self._bus(poll, uptime) for name, poll in self._workload.polls.items()},
            "uplink": asdict(self._delivery) | {"broker": f"{self._config.uplink.host}:{self._config.uplink.port}"},
            "success": {stream: asdict(success) for stream, success in self._health.success.items()},
            "storage": self._health.storage and asdict(self._health.storage),
            "keys": self._changes.counts(),
            "audit": head(self._store.audit),
            "commands": {"latency": [round(latency, 3) for latency in self._health.command_latency]},
        }

    async def answer(self, command: Command) -> Mapping[str, Any]:
        """Return what the box says of itself to a command that concerns no meter on a line. Raises StoreError."""
        match command.name:
            case "dcu.status":
                return await self.snapshot()
            case "dcu.keys":
                return self._changes.describe(str(command.args["meter"]))
            case "dcu.audit" | "dcu.verify-audit":
                return await (
                    verified(self._store.audit) if command.name != "dcu.audit" else shown(self._store.audit, command)
                )
            case "dcu.plan":
                return {"buses": await self._workload.describe()}
            case "dcu.uplink" | "dcu.switch-uplink":  # a unit with channels has its own answer
                from dcu.uplink.ways import Account, plain  # noqa: PLC0415 - for who asks

                up = self._delivery
                account = Account(up.tries, up.connections, up.error)
                return plain(command, self._config.uplink, self._clock, account, connected=up.connected)
            case _:
                return {"now": self._clock.now()}

    async def snapshot(self) -> dict[str, Any]:
        """Return `figures` with what the store holds."""
        pending = await self._store.outbox.pending()
        streams = {
            stream: {"pending": pending.get(stream, 0), "next_seq": seq}
            for stream, seq in (await self._store.outbox.streams()).items()
        }
        return self.figures() | {"store": {"octets": await self._store.database.size(), "streams": streams}}

    def line(self) -> str:
        """Return one line for `systemctl status`."""
        buses = self._health.buses.values()
        visits, good = sum(bus.visits for bus in buses), sum(bus.ok for bus in buses)
        problems = "; ".join(self._problems(self._clock.monotonic())) or "no problems"
        return f"{visits} visits, {good} good; {self._delivery.acknowledged} blocks delivered; {problems}"

    def _bus(self, poll: Poll, uptime: float) -> dict[str, Any]:
        bus, plan = poll.health, poll.plan.counts()
        return asdict(bus) | asdict(plan) | {"use": round(bus.busy / uptime, 3) if uptime else 0.0}

    def _problems(self, now: float) -> list[str]:
        problems = [f"no progress: {flow}" for flow in self._health.stuck(now)]
        problems += self._changes.problems()
        problems += self._workload.problems()
        problems += [f"store: {flow}: {reason}" for flow, reason in self._health.store_errors.items()]
        problems += self._health.archive
        if not self._clock.trusted():
            problems.append(f"the clock is {self._clock.state()}; nothing is collected on schedule")
        if self._delivery.error or not self._delivery.connected:
            problems.append(f"uplink: {self._delivery.error or 'not connected yet'}")
        return problems
