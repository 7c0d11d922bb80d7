"""A unit in its namespace, as a process: it has rows all the time, and says when its connection comes and goes.

`python -m tests.trickle PORT ROWS HOST [DEVICE…]` says `on|off AT TRIES` (CLOCK_MONOTONIC) and stays; with devices
there is a channel by each of them, the best first, otherwise one plain broker.
"""

import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from dcu.clock import SystemClock
from dcu.config import ChannelSettings
from dcu.delivery.deliver import Deliver
from dcu.uplink.ways import Ways
from tests.flow import DCU, fill, make_flow, running
from tests.outbox import MemoryOutbox

#: Seconds: of MQTT's keepalive without channels, of a channel's silence.
KEEPALIVE = SILENCE = 1.0

#: Rows that come at once, and seconds between two times.
FEW, PAUSE = 10, 0.05


async def trickle(store: MemoryOutbox, rows: int) -> None:
    for number in range(0, rows, FEW):
        fill(store, FEW, number)
        await asyncio.sleep(PAUSE)


async def say(flow: Deliver) -> None:
    told = False
    while True:
        if flow.figures.connected is not told:
            told = flow.figures.connected
            print("on" if told else "off", time.monotonic(), flow.figures.tries, flush=True)
        await asyncio.sleep(PAUSE / FEW)


async def main(folder: Path, port: int, rows: int, host: str, *devices: str) -> None:
    store = MemoryOutbox()
    flow = make_flow(port, store, host=host, keepalive=KEEPALIVE)
    if devices:
        channels = tuple(ChannelSettings(device, interface=device, silence=SILENCE) for device in devices)
        way = Ways(replace(flow.uplink.settings, channels=channels, keepalive=60.0), DCU, SystemClock(), folder)
        way.backoff.base, way.backoff.cap = flow.backoff.base, flow.backoff.cap
        flow.uplink, flow.backoff = way, way.backoff
    async with running(flow), asyncio.TaskGroup() as group:
        group.create_task(trickle(store, rows))
        group.create_task(say(flow))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own:
        asyncio.run(main(Path(own), int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
