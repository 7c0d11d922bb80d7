"""A WAN link in user space: two TUN devices, each in a network namespace, joined by pipes with rate, delay and loss.

A GPRS stand-in for a kernel without netem. `python -m sim.wan` is the link as a process; namespaces and who starts it
are in `sim.networks`.
"""

import argparse
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

#: Octets of the longest packet on the link, usual behind a tunnel or a modem.
MTU = 1400

#: Octets that wait at the entrance of a pipe; what comes then is dropped, as a modem does.
QUEUE = 60_000

#: Seconds between two looks at signals.
LOOK = 0.2

#: Linux: setns(2) into a network namespace; a TUN device without packet information (if_tun.h).
_NETWORK = 0x40000000
_TUNSETIFF, _TUNSETCARRIER, _TUN, _BARE = 0x400454CA, 0x400454E2, 0x0001, 0x1000


@dataclass(slots=True)
class Pipe:
    """One direction. `rate` in bit/s (0: any), `delay` in seconds, `loss` from 0 to 1. Times are the caller's.

    A packet waits until those before it have left, takes its octets' time, and arrives `delay` later.
    """

    rate: float = 0.0
    delay: float = 0.0
    loss: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    cut: bool = False
    carried: int = 0
    octets: int = 0
    lost: int = 0
    dropped: int = 0
    _free: float = 0.0
    _under_way: list[tuple[float, int, bytes]] = field(default_factory=list)

    def offer(self, now: float, packet: bytes) -> None:
        """Take a packet at the entrance."""
        if self.cut or self.dice.random() < self.loss:
            self.lost += 1
            return
        begins = max(now, self._free)
        if self.rate and (begins - now) * self.rate / 8 > QUEUE:
            self.dropped += 1
            return
        self._free = begins + (8 * len(packet) / self.rate if self.rate else 0.0)
        self.carried += 1
        self.octets += len(packet)
        heapq.heappush(self._under_way, (self._free + self.delay, self.carried, packet))

    def arrived(self, now: float) -> list[bytes]:
        """Return the packets that are through by `now`; what is under way when the line is cut is lost."""
        found = []
        while self._under_way and self._under_way[0][0] <= now:
            found.append(heapq.heappop(self._under_way)[2])
        if self.cut:
            self.lost += len(found)
            return []
        return found

    def next(self) -> float | None:
        """Return when the next packet arrives."""
        return self._under_way[0][0] if self._under_way else None


class Wan:
    """Carries between the descriptors of two devices until it is told to end."""

    def __init__(self, near: int, far: int, pipes: tuple[Pipe, Pipe]) -> None:
        self._exits = {near: far, far: near}
        self.pipes = dict(zip((near, far), pipes, strict=True))
        self.over = False

    def set(self, *, cut: bool, carrier: bool) -> None:
        """Let nothing through (`cut`), and say so at both ends by the loss of the carrier, or not."""
        for device, pipe in self.pipes.items():
            pipe.cut = cut
            fcntl.ioctl(device, _TUNSETCARRIER, struct.pack("i", carrier))

    def run(self) -> None:
        watching = select.epoll()
        for device in self.pipes:
            watching.register(device, select.EPOLLIN)
        while not self.over:
            self.step(watching)

    def step(self, watching: select.epoll) -> None:
        """Wait for a packet at an entrance or at an exit, and pass it on."""
        now = time.monotonic()
        soon = min((at for pipe in self.pipes.values() if (at := pipe.next()) is not None), default=now + LOOK)
        for device, _ in watching.poll(max(0.0, min(soon - now, LOOK))):
            self.pipes[device].offer(time.monotonic(), os.read(device, 65_536))
        for device, pipe in self.pipes.items():
            for packet in pipe.arrived(time.monotonic()):
                os.write(self._exits[device], packet)


def open_device(namespace: str, name: str, address: str, peer: str) -> int:
    """Make the device `name` in `namespace`, which the process then is in. Raises OSError."""
    with Path(f"/run/netns/{namespace}").open("rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NETWORK):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN | _BARE))
    for words in (["addr", "add", address, "peer", peer, "dev", name], ["link", "set", name, "mtu", str(MTU), "up"]):
        subprocess.run(["ip", *words], check=True)  # noqa: S603, S607 - our own words
    return device


def main() -> None:
    """Make both devices, say `ready`, carry until SIGTERM, say what was carried.

    SIGUSR1 pulls the cable, SIGUSR2 lets everything vanish silently, SIGHUP mends both.
    """
    parser = argparse.ArgumentParser(prog="python -m sim.wan", description=main.__doc__)
    parser.add_argument("device")
    for side in ("near", "far"):
        parser.add_argument(side, help="NAMESPACE=ADDRESS")
    for name in ("rate", "delay", "loss"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    words = parser.parse_args()
    (near, here), (far, there) = words.near.split("="), words.far.split("=")
    devices = open_device(near, words.device, here, there), open_device(far, words.device, there, here)
    up, down = (Pipe(words.rate, words.delay, words.loss, random.Random(seed)) for seed in (1, 2))
    wan = Wan(*devices, (up, down))
    signal.signal(signal.SIGTERM, lambda *_: setattr(wan, "over", True))
    signal.signal(signal.SIGUSR1, lambda *_: wan.set(cut=True, carrier=False))
    signal.signal(signal.SIGUSR2, lambda *_: wan.set(cut=True, carrier=True))
    signal.signal(signal.SIGHUP, lambda *_: wan.set(cut=False, carrier=True))
    print("ready", flush=True)
    wan.run()
    counts = {name: [getattr(pipe, name) for pipe in (up, down)] for name in ("carried", "octets", "lost", "dropped")}
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
