"""What systemd wants to hear (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING. Silent when nobody listens."""

import os
import socket
from collections.abc import Collection

import structlog

try:
    from systemd.daemon import notify as _systemd_notify
except ImportError:  # systemd-python is optional: in a virtual environment the protocol is one datagram
    _systemd_notify = None

log = structlog.get_logger()


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
