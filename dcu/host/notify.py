"""What systemd wants to hear (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING. Silent when nobody listens."""

import asyncio
import os
import socket
from collections.abc import Collection
from typing import Final

import structlog

try:
    from systemd.daemon import notify as _systemd_notify
except ImportError:  # systemd-python is optional: in a virtual environment the protocol is one datagram
    _systemd_notify = None

log = structlog.get_logger()

#: Seconds between two requests for as much time again as the unit gives, and how many there are: a store of the
#: largest budget is copied and brought forward by then, on a slow card.
WHILE: Final = 15
ASKED: Final = 60


def notify(state: str) -> None:
    """Send `state`, such as "READY=1", to the service manager named in NOTIFY_SOCKET, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if _systemd_notify is not None:
        _systemd_notify(state)
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.sendall(state.encode())


async def ask_for_time() -> None:
    """Have a start that takes long not taken for one that hangs, for ASKED times WHILE seconds or until cancelled.

    The watchdog of a unit that is ready is fed as well: a store that is opened anew may take longer than it waits.
    """
    for _ in range(ASKED):
        notify(f"EXTEND_TIMEOUT_USEC={2 * WHILE}000000\nWATCHDOG=1")
        await asyncio.sleep(WHILE)


def feed(stuck: Collection[str], line: str) -> None:
    """Feed the watchdog unless a flow is `stuck`, and tell the status `line`."""
    if stuck:
        log.critical("no progress; the watchdog goes hungry", flows=stuck)
    else:
        notify("WATCHDOG=1")
    notify(f"STATUS={line}")


def watchdog_interval() -> float | None:
    """Seconds between two proofs of life: half of what WATCHDOG_USEC asks; None when nobody watches."""
    microseconds = os.environ.get("WATCHDOG_USEC")
    return int(microseconds) / 2e6 if microseconds else None
