"""The entry of `dcu`: a daemon that is run as its unit does is run at once, all else is read by `dcu.cli.dcu`.

A library that reads command lines and writes help takes 1.3 MB, which a daemon would carry as long as it runs.
"""

import sys
from collections.abc import Sequence

from dcu.cli.unloaded import HARDLY_USED, load_when_asked

#: The configuration where none is named.
CONFIG = "/etc/dcu/dcu.yaml"


def plain_run(words: Sequence[str]) -> str | None:
    """Return the configuration of `run` when `words` are that and no more, None when they have to be read with care."""
    match words:
        case ["run"]:
            return CONFIG
        case ["run", "-c" | "--config", path]:
            return path
    return None


def main() -> None:
    """Entry point."""
    if path := plain_run(sys.argv[1:]):
        for name in HARDLY_USED:
            load_when_asked(name)
        from dcu.cli.running import run  # noqa: PLC0415 - nobody is to have loaded them before

        run(path)
    else:
        from dcu.cli.dcu import cli  # noqa: PLC0415 - for people

        cli(prog_name="dcu")


if __name__ == "__main__":
    main()
