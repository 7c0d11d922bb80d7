"""The part `tls` of the section `uplink`: which files, which protocols. What comes of them is `dcu.uplink.tls`'s."""

from functools import partial

from dcu.config.settings import TlsSettings
from dcu.forms import words
from dcu.forms.shape import Place, Shape, items

#: Protocols that are offered by ALPN (RFC 7301).
MAX_PROTOCOLS = 4


def _readable(place: Place, *, secret: bool = False) -> str:
    """Return the path of a file that can be read: better missed now than at the first connection."""
    path = words.secret_path(place)
    place.other(path, secret=secret)
    return path


TLS: Shape[TlsSettings] = Shape(
    lambda minimum=False, alpn=(), **files: TlsSettings(only_13=minimum, alpn=tuple(w for w, _ in alpn), **files),
    {},
    {
        "ca": _readable,
        "cert": _readable,
        "key": partial(_readable, secret=True),
        "alpn": items(words.name, MAX_PROTOCOLS),
        "minimum": words.choice({"1.2": False, "1.3": True}),
    },
)


def tls(place: Place) -> TlsSettings:
    """Return the settings of TLS; certificate and key come together."""
    settings = TLS(place)
    if (settings.cert is None) != (settings.key is None):
        place.fault("cert and key together, or neither")
    return settings
