"""The configuration: YAML text to checked, frozen settings; an error names file, line, key and what was expected.

What the settings mean is in docs/reference/configuration.md. The file is read by
`dcu.host.configuration`; lines of meters that come later are judged by the same rules.
"""

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
]
