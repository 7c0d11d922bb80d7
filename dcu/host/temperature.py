"""How warm the board is, as the kernel's thermal zones say (Linux, Documentation/driver-api/thermal/sysfs-api.rst).

What is made of it is not here.
"""

from pathlib import Path
from typing import Final

ZONES: Final = Path("/sys/class/thermal")


def temperature(zones: Path = ZONES) -> float | None:
    """Return the degrees Celsius of the warmest zone, None where none can be read."""
    found = [_degrees(zone) for zone in zones.glob("thermal_zone*/temp")]
    return max((degrees for degrees in found if degrees is not None), default=None)


def _degrees(zone: Path) -> float | None:
    try:
        return int(zone.read_text()) / 1000
    except (OSError, ValueError):  # a zone that is off refuses to be read
        return None
