"""How long is rested before the next way to the broker is tried, or slept by the timetable of a channel.

Which way that is, and when all were tried, is known in `channels`; who waits does so elsewhere.
"""

import random

from dcu.uplink.backoff import Backoff
from dcu.uplink.channels import Channels


class Turns(Backoff):
    """A rest only when every way has been tried; then the share of `spread` seconds too that keeps a fleet apart.

    `sleep` is what the timetable of a channel asks for instead, in seconds.
    """

    def __init__(self, channels: Channels, spread: float) -> None:
        super().__init__()
        self._channels = channels
        self._spread = spread
        self.sleep: float | None = None

    def delay(self) -> float:
        if self._channels.at_once:
            return 0.0
        self._channels.rested()
        apart = random.uniform(0, self._spread)  # noqa: S311 - a mere spread
        if self.sleep is None:
            return super().delay() + apart
        self.asleep, slept, self.sleep = True, self.sleep, None
        return slept + apart
