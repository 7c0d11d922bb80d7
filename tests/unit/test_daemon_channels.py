"""The whole daemon with two channels in virtual time: the standby is taken, gone back from, and shown."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dcu.config import ChannelSettings, UplinkSettings
from dcu.errors import UplinkError
from dcu.uplink import Outgoing, ways
from dcu.uplink.dial import Route
from sim.virtual import VirtualClock
from tests.lines import virtually
from tests.rig import Incoming, MemoryBroker, MemoryLink, Rig

CHANNELS = (ChannelSettings("eth"), ChannelSettings("gprs", metered=True))


class Client:
    """What lies below a link in memory; the kernel counts nothing of it."""

    line = None

    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def end(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_exception(UplinkError(reason))


class EndingLink(MemoryLink):
    idle = True

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.client = Client()

    async def messages(self) -> AsyncGenerator[Any, None]:
        while True:
            command = asyncio.ensure_future(self._broker.down.get())
            try:
                await asyncio.wait([command, self.client.over], return_when=asyncio.FIRST_COMPLETED)
                if not command.done():
                    self.client.over.result()
                yield command.result()
            finally:
                command.cancel()


class Channel(MemoryBroker):
    """A way to the broker."""

    route = Route()

    def __init__(self, settings: UplinkSettings, dcu: str) -> None:
        super().__init__(settings, dcu)
        self.links: list[EndingLink] = []

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[EndingLink]:
        if self.away:
            raise UplinkError("no carrier")
        self.links.append(EndingLink(self))
        yield self.links[-1]


def told(channel: Channel) -> list[str]:
    """Return the channels that the births over `channel` named."""
    return [state["channel"] for state in channel.tally.states if state["state"] == "online"]


def test_the_standby_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Channel] = []

    def make(settings: UplinkSettings, dcu: str, *_: object) -> Channel:
        made.append(Channel(settings, dcu))
        return made[-1]

    async def dial(*_: Any) -> socket.socket:
        if made[0].away:
            raise OSError("no carrier")
        return socket.socket()

    async def scenario(rig: Rig) -> None:
        eth, gprs = made
        await asyncio.sleep(60)
        assert (told(eth), told(gprs)) == (["eth"], [])
        eth.away = True
        eth.links[0].client.end("carrier lost")
        await asyncio.sleep(1)
        assert told(gprs) == ["gprs"]
        gprs.down.put_nowait(Incoming(id="u1", name="dcu.uplink"))
        await asyncio.sleep(600)
        assert told(gprs) == ["gprs"]
        shown: Any = rig.store.records["u1"].result
        assert shown["channel"] == "gprs"
        assert shown["channels"][0]["error"] == "carrier lost"
        eth.away = False
        await asyncio.sleep(280)
        assert told(eth) == ["eth"], "it has to answer for five minutes"
        await asyncio.sleep(60 + ways.RETURN_SPREAD * 300)
        assert told(eth) == ["eth", "eth"]
        changes = [
            each.detail for each in gprs.tally.events + eth.tally.events if each.event == "uplink channel changed"
        ]
        assert [(change["was"], change["channel"]) for change in changes if change] == [
            ("eth", "gprs"),
            ("gprs", "eth"),
        ]

    async def work(clock: VirtualClock) -> None:
        monkeypatch.setattr(ways, "Uplink", make)
        monkeypatch.setattr(ways, "dial", dial)
        await play(Rig(clock, tmp_path, monkeypatch), CHANNELS, scenario)

    virtually(work)


async def play(
    rig: Rig, channels: tuple[ChannelSettings, ...], scenario: Callable[[Rig], Coroutine[None, None, None]]
) -> None:
    rig.config = replace(rig.config, uplink=replace(rig.config.uplink, channels=channels))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(rig.daemon().run(rig.stop))
        await scenario(rig)
        rig.stop.set()
        await running
    for _ in range(3):  # what was cancelled comes to its end
        await asyncio.sleep(0)


def test_a_unit_that_sleeps_says_so_and_until_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Channel] = []

    def make(settings: UplinkSettings, dcu: str, *_: object) -> Channel:
        made.append(Channel(settings, dcu))
        return made[-1]

    async def scenario(_rig: Rig) -> None:
        (gprs,) = made
        await asyncio.sleep(3 * 3600)
        states = [(state["state"], state.get("reason")) for state in gprs.tally.states]
        assert states[:4] == [("online", None), ("stopped", "sleep")] * 2
        asleep, awake = gprs.tally.states[1:3]
        late = datetime.fromisoformat(awake["at"]) - datetime.fromisoformat(asleep["until"])
        assert abs(late.total_seconds()) < 60

    async def work(clock: VirtualClock) -> None:
        monkeypatch.setattr(ways, "Uplink", make)
        await play(Rig(clock, tmp_path, monkeypatch), (ChannelSettings("gprs", every=3600.0),), scenario)

    virtually(work)
