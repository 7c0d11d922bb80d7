"""The TLS context of the uplink: 1.2 or later, the broker always verified, a client certificate when configured."""

import ssl

from dcu.config import TlsSettings
from dcu.errors import UplinkError


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context for `settings` (PEM files). Raises UplinkError naming the file that cannot be used.

    Read at each connection, so that a renewed certificate takes effect without a restart.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:  # ssl.SSLError is one
        raise UplinkError(f"tls: {settings.ca} {settings.cert} {settings.key}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
