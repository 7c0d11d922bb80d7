"""From the loss of the main channel to the first row at the head-end over the standby: cable pulled, and silence.

The main channel is an Ethernet of 10 ms, the standby a modem of 600 ms and 40 kbit/s; rows come ten times a second.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure
from bench.over_wan import PACE, head_end, unit
from dcu.uplink.backoff import STEADY
from sim.networks import WanLink, missing, networks

#: Seconds of silence by which the main channel is judged, and rows that have come before it is taken away: a connection
#: that is lost within its first ten seconds is not followed by another at once.
SILENCE = 1.0
BEFORE = round(1.1 * STEADY / PACE)


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    if why := missing():
        print(f"not measured: {why}")
        return []
    rounds = 1 if quick else 5
    print(f"`silence: {SILENCE:g}s` on the main channel; TLS 1.3; {rounds} losses of each kind")
    found = {kind: [asyncio.run(_loss(kind)) for _ in range(rounds)] for kind in ("silence", "unplug")}
    for kind, seconds in found.items():
        print(f"{kind}: {min(seconds):.2f} to {max(seconds):.2f} s")
    return [Figure("failover", "seconds", max(max(seconds) for seconds in found.values()))]


async def _loss(kind: str) -> float:
    """Return the seconds until the first row over the standby."""
    with tempfile.TemporaryDirectory() as folder, networks() as stage:
        async with (
            WanLink(stage, 0, delay=0.005) as main,
            WanLink(stage, 1, rate=40_000, delay=0.3),
            head_end(stage, Path(folder)) as head,
            unit(stage, head, Path(folder), "0", str(SILENCE), "0"),
        ):
            for _ in range(BEFORE):
                await head.row()
            lost = time.monotonic()
            getattr(main, kind)()
            # what came through before the link was told is no message of the standby's
            while (arrival := await head.row()).at < lost + SILENCE:
                pass
            return arrival.at - lost
