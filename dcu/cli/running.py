"""What `dcu run` does: it reads the configuration and serves. How the words of a command line are taken is not here.

Nothing is loaded for it that only people at a terminal need: what it loads stays as long as the daemon runs.
"""

import sys
from typing import TYPE_CHECKING

from dcu.cli.logs import set_up_logs
from dcu.config import Config
from dcu.errors import ConfigError, DcuError
from dcu.host.configuration import load
from dcu.profiles import stream_names

if TYPE_CHECKING:
    from dcu.serving import TimeBase  # loaded late, see below

#: Exit statuses: the configuration is wrong (systemd must not restart on it), or something else is.
EXIT_CONFIG, EXIT_FAILED = 78, 1

#: Seconds after which a thread (of the store, of a block that is written) gives way to the event loop; Python's usual
#: five milliseconds are half of what the loop may be late.
GIVE_WAY = 0.001


def configuration(path: str) -> Config:
    """Return the configuration in `path`; say what is wrong with it and exit with EXIT_CONFIG when it is not good."""
    try:
        return load(path, stream_names)
    except ConfigError as error:
        count = len(error.problems)
        sys.stderr.write(f"{error}\ndcu: {count} problem{'s' if count != 1 else ''} in the configuration\n")
        sys.exit(EXIT_CONFIG)


def run(path: str, base: "TimeBase | None" = None) -> None:
    """Run the daemon of the configuration `path` until SIGTERM or SIGINT; exit with EXIT_FAILED when it cannot."""
    config = configuration(path)
    set_up_logs(config.dcu.log)
    # `dcu check` needs no broker library, and the child that parses YAML must not carry it
    from dcu.serving import REAL_TIME, serve  # noqa: PLC0415 - see above

    sys.setswitchinterval(GIVE_WAY)
    try:
        serve(config, base or REAL_TIME)
    except* DcuError as group:  # alone, or from a task of the daemon
        failed = group.exceptions[0]
    else:
        return
    sys.stderr.write(f"dcu: {failed} (to be mended by: {getattr(failed, 'who', 'us')})\n")
    sys.exit(EXIT_FAILED)
