"""A delivering flow towards a real broker, over an outbox in memory; also as a process of its own that can be killed.

`python -m tests.flow PORT ROWS [HOST]` delivers ROWS captures and stays.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from dcu.clock import SystemClock
from dcu.config import StreamSettings, UplinkSettings
from dcu.delivery.deliver import Deliver
from dcu.delivery.dialect import Dialect
from dcu.messages.envelope import Envelopes
from dcu.uplink import Backoff, Topics, Uplink
from tests.outbox import NOON, MemoryOutbox, capture

DCU = "DCU-0001"

#: As blocks, but without a wait for more.
AT_ONCE = {"default": StreamSettings(delay=0.0)}


def make_flow(
    port: int, store: MemoryOutbox, commands: list[bytes] | None = None, host: str = "127.0.0.1", **settings: object
) -> Deliver:
    received = commands if commands is not None else []

    async def on_command(_: str, payload: bytes) -> None:
        received.append(payload)

    return Deliver(
        store=store,
        uplink=Uplink(UplinkSettings(host, DCU, port, **{"streams": AT_ONCE, **settings}), DCU),  # type: ignore[arg-type]
        dialect=Dialect(Envelopes(DCU, "b"), Topics("ami/v1", DCU), SystemClock()),
        clock=SystemClock(),
        on_command=on_command,
        backoff=Backoff(base=0.02, cap=0.1),
    )


@asynccontextmanager
async def running(flow: Deliver) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(flow.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def fill(store: MemoryOutbox, count: int, start: int = 0) -> None:
    store.add(
        *[capture(f"M{n % 100:04}", at=NOON + 900 * (n // 100), values=(n,)) for n in range(start, start + count)]
    )


async def main(port: int, rows: int, host: str = "127.0.0.1") -> None:
    store = MemoryOutbox()
    fill(store, rows)
    await make_flow(port, store, host=host).run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
