"""What happens to a meter: episodes (power cut, cover open, magnet …) as pure functions of (seed, meter, log, time).

A log holds pairs of events, begin and end; what an operator does to the relay is state and lives in `sim.meter`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dcu.obis import parse_obis
from sim.household import noise

POWER_DOWN, POWER_UP = 1, 2
CLOCK_OLD, CLOCK_NEW = 4, 5
TERMINAL_COVER_OPEN, TERMINAL_COVER_CLOSED = 40, 41
MAGNET_ON, MAGNET_OFF = 42, 43
COVER_OPEN, COVER_CLOSED = 44, 45
#: Disconnector codes of IDIS-like meters.
REMOTE_DISCONNECTION, REMOTE_CONNECTION = 62, 63
LIMIT_EXCEEDED, LIMIT_OK = 65, 66


@dataclass(frozen=True, slots=True)
class Episode:
    """Something that begins and ends: two event codes and the longest it lasts, in seconds."""

    begin: int
    end: int
    longest: int


@dataclass(frozen=True, slots=True)
class EventLog:
    """One event log: its buffer, the object its code column captures, and what happens in it how often.

    Each `window` seconds hold one episode, with `chance` of 256, that lies wholly inside the window.
    """

    name: bytes
    code: bytes
    window: int
    chance: int
    episodes: tuple[Episode, ...]

    def between(self, seed: int, meter: str, start: int, end: int) -> list[tuple[int, int]]:
        """Return (UTC second, code) of the events in start..end, both included, in order of time."""
        found = []
        for window in range(start // self.window, end // self.window + 1):
            found += [event for event in self._window(seed, meter, window) if start <= event[0] <= end]
        return found

    def episode_in(self, seed: int, meter: str, start: int, end: int, begin: int) -> bool:
        """Whether an episode that begins with code `begin` overlapped start..end."""
        for window in range(start // self.window, end // self.window + 1):
            events = list(self._window(seed, meter, window))
            if events and events[0][1] == begin and events[0][0] <= end and events[1][0] >= start:
                return True
        return False

    def _window(self, seed: int, meter: str, window: int) -> Iterator[tuple[int, int]]:
        dice = noise(seed, meter, self.name.hex(), window)
        if dice % 256 >= self.chance:
            return
        # begin in the first half and last less than the second: windows need not know of each other
        episode = self.episodes[(dice >> 8) % len(self.episodes)]
        half = self.window // 2
        begin = window * self.window + (dice >> 16) % half
        yield begin, episode.begin
        yield begin + 1 + (dice >> 40) % min(episode.longest, half - 1), episode.end


STANDARD = EventLog(
    parse_obis("0-0:99.98.0.255"),
    parse_obis("0-0:96.11.0.255"),
    window=4 * 3600,
    chance=64,
    episodes=(
        Episode(POWER_DOWN, POWER_UP, 3600),
        Episode(POWER_DOWN, POWER_UP, 120),
        Episode(CLOCK_OLD, CLOCK_NEW, 1),
    ),
)
FRAUD = EventLog(
    parse_obis("0-0:99.98.1.255"),
    parse_obis("0-0:96.11.1.255"),
    window=12 * 3600,
    chance=24,
    episodes=(
        Episode(TERMINAL_COVER_OPEN, TERMINAL_COVER_CLOSED, 1800),
        Episode(MAGNET_ON, MAGNET_OFF, 7200),
        Episode(COVER_OPEN, COVER_CLOSED, 1800),
    ),
)
DISCONNECTOR = EventLog(
    parse_obis("0-0:99.98.2.255"),
    parse_obis("0-0:96.11.2.255"),
    window=12 * 3600,
    chance=48,
    episodes=(Episode(LIMIT_EXCEEDED, LIMIT_OK, 900),),
)
LOGS = (STANDARD, FRAUD, DISCONNECTOR)


def power_failed(seed: int, meter: str, start: int, end: int) -> bool:
    """Whether the mains were away at some second of start..end."""
    return STANDARD.episode_in(seed, meter, start, end, POWER_DOWN)
