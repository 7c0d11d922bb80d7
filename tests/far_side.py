"""The head-end's side of a WAN link, as a process in its namespace; it starts the unit's in the other one.

`python -m tests.far_side FOLDER NAMESPACE ROWS [UNIT [WORD…]]` ends well when ROWS captures have come, each once and as
they were. The unit is `tests.flow`, or the module that is named; it says what it has to say by the same way.
"""

import asyncio
import sys
from asyncio.subprocess import create_subprocess_exec
from pathlib import Path

from sim.broker import Broker
from sim.headend import HeadEnd
from sim.networks import BROKER
from tests.flow import DCU

#: Seconds for all of it; TCP waits for half a minute when one packet is lost five times.
PATIENCE = 90.0

#: Captures after which the unit is well on its way, which is said.
BEGUN = 100


async def main(folder: Path, namespace: str, rows: int, unit: str = "tests.flow", *words: str) -> None:
    broker = Broker(folder / "broker")
    broker.host = BROKER
    async with broker, HeadEnd(BROKER, broker.port, DCU) as head:
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", unit]
        process = await create_subprocess_exec(*command, str(broker.port), str(rows), BROKER, *words)
        try:
            await head.until(lambda: len(head.tally.captures) >= BEGUN, PATIENCE)
            print("begun", flush=True)
            await head.until(lambda: len(head.tally.captures) == rows, PATIENCE)
        finally:
            process.kill()
            await process.wait()
        values = sorted(received.values[0] for received in head.tally.captures.values())
        assert values == list(range(rows))
        assert (head.tally.conflicts, head.tally.holes(), head.tally.dropped) == (0, {}, [])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
