"""Work done in a process of its own while the daemon runs, so that the memory it takes is given back.

`dcu.host.apart` forks, which is for the time before threads are started. What the work is, is not here.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from dcu.errors import DcuError
from dcu.host.apart import outcome, unpacked

T = TypeVar("T")

#: Seconds the work may take: reading the secrets of four thousand meters takes an old board some ten.
BOUND = 60.0


async def aside(work: Callable[..., T], *args: object) -> T:
    """Return what `work(*args)` returns in another process; all of it has to be picklable, `work` by its name.

    A ConfigError is raised here again; any other failure is our bug and becomes a DcuError with its traceback.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # where this process found its code, in whatever way it was started
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        async with asyncio.timeout(BOUND):
            answer, _ = await child.communicate(pickle.dumps((work, args)))
    except TimeoutError as error:
        raise DcuError(f"the child process took more than {BOUND:.0f} s") from error
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    assert child.returncode is not None
    return unpacked(answer, child.returncode)  # type: ignore[no-any-return]  # pickle cannot tell


def main() -> None:
    """Do the work that stands on stdin, and write how it went to stdout."""
    work, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    sys.stdout.buffer.write(outcome(partial(work, *args)))


if __name__ == "__main__":
    main()
