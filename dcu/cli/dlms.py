"""`dcu dlms`: explains what was seen on a meter's line. It opens no line and reads no configuration."""

import re
import sys
from typing import Final

import click

from dcu.model import Keys

_CONTEXT: Final = {"help_option_names": ["-h", "--help"]}
_SEPARATORS: Final = re.compile(r"0[xX]|[\s:,-]+")
_TITLE_SIZE: Final = 8
#: Characters read from stdin: 131072 octets in hexadecimal with as much between them.
_MAX_TEXT: Final = 524_288


def _octets(text: str, *sizes: int) -> bytes:
    """Return the octets of `text`: spaces, line ends, colons, commas, hyphens and 0x between them do not matter."""
    digits = _SEPARATORS.sub("", text)
    if (wrong := re.search(r"[^0-9a-fA-F]", digits)) is not None:
        raise click.BadParameter(f"{wrong[0]!r} is no hexadecimal digit")
    if len(digits) % 2:
        raise click.BadParameter(f"{len(digits)} hexadecimal digits make no whole octets")
    if sizes and len(digits) // 2 not in sizes:
        raise click.BadParameter(f"{len(digits) // 2} octets, expected {' or '.join(map(str, sizes))}")
    return bytes.fromhex(digits)


def _key(_: click.Context, __: click.Parameter, text: str | None) -> bytes:
    return b"" if text is None else _octets(text, 16, 32)


def _title(_: click.Context, __: click.Parameter, text: str | None) -> bytes:
    return b"" if text is None else _octets(text, _TITLE_SIZE)


def _line(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> bytes:
    return _octets(sys.stdin.read(_MAX_TEXT) if words == ("-",) else " ".join(words))


#: Set off by the character that keeps click from filling the lines.
_EXAMPLES: Final = """\b
Examples:
  dcu dlms decode c4:01:c1:00:12:08:fd
  dcu dlms decode 7ea0080223 0553 e2e6 7e
  dcu dlms decode --encryption-key 0001…0f --authentication-key d0d1…df --title 4d54523030303031 cc1e30…
  dcu dlms decode - < visit.hex
"""


@click.group(context_settings=_CONTEXT, epilog=_EXAMPLES)
def dlms() -> None:
    """Look at DLMS/COSEM without a meter."""


@dlms.command(context_settings=_CONTEXT, epilog=_EXAMPLES)
@click.argument("data", metavar="HEX...", nargs=-1, required=True, callback=_line)
@click.option("--encryption-key", metavar="HEX", callback=_key, help="Deciphers; global or dedicated.")
@click.option("--authentication-key", metavar="HEX", callback=_key, help="Verifies the tags.")
@click.option("--title", metavar="HEX", callback=_title, help="The sender's system title, if no AARQ or AARE has it.")
def decode(data: bytes, encryption_key: bytes, authentication_key: bytes, title: bytes) -> None:
    """Explain HDLC frames, WRAPPER packets, a bare APDU or a bare value.

    HEX may hold spaces and colons, and several frames one after the other: the segments of an APDU are then put
    together, and system titles learnt from AARQ and AARE. `-` reads it from stdin. Ends with status 1 when something
    in it could not be understood.
    """
    from dcu.dlms.explain import explain  # noqa: PLC0415 - only with words that are hexadecimal is it worth its load

    explanation = explain(data, Keys(b"", encryption_key, authentication_key), title)
    click.echo(explanation.text)
    if not explanation.good:
        sys.exit(1)
