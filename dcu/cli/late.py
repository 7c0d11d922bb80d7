"""A group of subcommands that are loaded when somebody types them: a daemon must not carry what only people need.

What the subcommands do is theirs.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar

import click


class Late(click.Group):
    """A group that also has the subcommands `late`: by name, the module each stands in under that name."""

    late: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.late})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.late:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(self.late[cmd_name]), cmd_name)
        return found
