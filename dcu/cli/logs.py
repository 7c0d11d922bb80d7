"""How the daemon's log looks: colours for a person at a terminal, key=value lines for the journal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dcu.cli.foreign import visible


@contextmanager
def _missing(name: str) -> Iterator[None]:
    """Let what is imported meanwhile find that the package `name` is not installed; None is Python's word for that."""
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # which is not typed for it
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


# structlog loads rich wherever it finds it: 5 MB for as long as the daemon runs, and a tenth of its start, for
# tracebacks in colours. The package has rich for dcuctl; the daemon's tracebacks are plain.
with _missing("rich"):
    import structlog


def _visible(_log: object, _name: str, words: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Show what strangers have written as text, whatever it would do to a terminal; a traceback keeps its lines."""
    for key, word in words.items():
        if not isinstance(word, int | float | None):
            words[key] = visible(str(word), keep="\n" if key == "exception" else "")
    return words


def set_up_logs(level: str) -> None:
    """Log to stderr from `level` ("debug", "info", "warning", "error") on. systemd adds the time to what it keeps."""
    # aiomqtt reports there what reaches us as UplinkError and is logged once, in our own words
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)
    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        _visible,
    ]
    if sys.stderr.isatty():
        processors.append(structlog.processors.TimeStamper("%H:%M:%S"))
        processors.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    else:
        processors.append(structlog.processors.LogfmtRenderer(key_order=["level", "event"], bool_as_flag=False))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
