"""The help of both programs, command by command: examples in each, and nothing that is cut off."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from dcu import __version__
from dcu.cli.dcu import cli as dcu
from dcu.cli.dcuctl import cli as dcuctl


def contexts(command: click.Command, word: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield the context of `command` and of all below it."""
    context = click.Context(command, parent, word, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from contexts(found, below, context)


PROGRAMS = {"dcu": dcu, "dcuctl": dcuctl}
COMMANDS = {
    tuple(context.command_path.split()): context.command
    for name, program in PROGRAMS.items()
    for context in contexts(program, name)
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_examples_of_itself(words: tuple[str, ...]) -> None:
    program, *rest = words
    found = CliRunner().invoke(PROGRAMS[program], [*rest, "--help"], prog_name=program, terminal_width=80)
    assert found.exit_code == 0
    _, _, examples = found.output.partition("Examples:\n")
    assert " ".join(words) in examples
    _, _, listed = found.output.partition("Commands:\n")
    assert not [line for line in listed.splitlines() if line.endswith("...")]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version(program: str) -> None:
    found = CliRunner().invoke(PROGRAMS[program], ["--version"])
    assert (found.exit_code, found.output) == (0, f"{program}, version {__version__}\n")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is_for(words: tuple[str, ...]) -> None:
    silent = [each.name for each in COMMANDS[words].params if isinstance(each, click.Option) and not each.help]
    assert silent == []
