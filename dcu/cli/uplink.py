"""The channels to the broker on the terminal: `dcuctl uplink`. Which of them is used, the daemon decides."""

from typing import Any

import click

from dcu.cli.show import show_uplink
from dcu.cli.talk import Daemon, as_json, present
from dcu.config.channels import AUTO

#: The first character keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  dcuctl uplink
  dcuctl uplink gprs       use this channel as long as it works
  dcuctl uplink auto       as the configuration has it
"""


@click.command(epilog=EXAMPLES)
@click.argument("channel", required=False)
@as_json
@click.pass_obj
def uplink(daemon: Daemon, channel: str | None, *, raw: bool) -> None:
    """Show the channels to the broker, or prefer CHANNEL.

    To put CHANNEL before the others, the role operator must be allowed.
    """
    if channel is None:
        result = daemon.ask("dcu.uplink")["result"]
    else:
        args: dict[str, Any] = {} if channel == AUTO else {"channel": channel}
        result = daemon.ask("dcu.switch-uplink", **args)["result"]
    present(result, show_uplink, raw=raw)
