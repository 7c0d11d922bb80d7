"""The configuration: YAML text to checked, frozen settings; an error names file, line, key and what was expected.

What the settings mean is in docs/reference/configuration.md. Nothing here runs after the daemon has started.
"""

from dcu.config.apart import apart
from dcu.config.load import load
from dcu.config.settings import (
    BusConfig,
    ChannelSettings,
    ClockSettings,
    Config,
    DcuSettings,
    SparkplugSettings,
    StoreSettings,
    StreamSettings,
    TlsSettings,
    UplinkSettings,
)

__all__ = [
    "BusConfig",
    "ChannelSettings",
    "ClockSettings",
    "Config",
    "DcuSettings",
    "SparkplugSettings",
    "StoreSettings",
    "StreamSettings",
    "TlsSettings",
    "UplinkSettings",
    "apart",
    "load",
]
