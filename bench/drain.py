"""A week that was not delivered leaves over 20 kbit/s and 600 ms: how much longer that takes than its octets do.

The octets are those of the messages' payloads; headers of MQTT, TLS, TCP and IP, handshakes and waiting come on top.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure
from bench.over_wan import WEEK, head_end, unit
from sim.networks import WanLink, missing, networks

#: The line: bit/s, and seconds one way.
RATE, DELAY = 20_000.0, 0.3

#: Meters whose week it is; a message has as many octets whatever their number.
METERS, QUICK_METERS = 64, 22

#: Seconds of silence that end it.
QUIET = 10.0


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    if why := missing():
        print(f"not measured: {why}")
        return []
    meters = QUICK_METERS if quick else METERS
    print(f"{meters} meters, {meters * WEEK} rows; {RATE / 1e3:g} kbit/s, {2e3 * DELAY:g} ms")
    return [Figure("drain", "ratio", asyncio.run(_drain(meters)))]


async def _drain(meters: int) -> float:
    with tempfile.TemporaryDirectory() as folder, networks() as stage:
        async with WanLink(stage, 0, rate=RATE, delay=DELAY) as link, head_end(stage, Path(folder)) as head:
            async with unit(stage, head, Path(folder), str(meters), "0") as began:
                first = last = await head.row()
                octets = first.octets
                while True:
                    try:
                        async with asyncio.timeout(QUIET):
                            last = await head.row()
                    except TimeoutError:
                        break
                    octets += last.octets
            carried = (await link.end())["octets"]
    taken, least = last.at - began, 8 * octets / RATE
    print(
        f"{octets} octets of messages, {carried[0]} on the line up, {carried[1]} down: {taken:.1f} s for {least:.1f} s"
    )
    return taken / least
