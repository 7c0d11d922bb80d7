"""The manual pages of both programs, written from their own help when the package is built; nothing runs it later.

    python -m dcu.cli.manual DIRECTORY
What the help says is with the commands.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Final

import click

from dcu import __version__
from dcu.cli.dcu import cli as dcu
from dcu.cli.dcuctl import cli as dcuctl

#: Each program with what it is and what is said of it besides its help.
PROGRAMS: Final = {
    "dcu": (dcu, "check a configuration, run the data concentrator, look at what it keeps"),
    "dcuctl": (dcuctl, "talk to the running data concentrator"),
}

#: What is the same on both pages, in roff.
_ENDS: Final = {
    "dcu": r"""
.SH EXIT STATUS
0: done. 1: not done. 2: wrong words. 78: the configuration is wrong; systemd does not start it again.
.SH FILES
.I /etc/dcu/dcu.yaml
is the configuration, described in
.IR /usr/share/doc/dcu/docs/reference/configuration.md .
.SH SEE ALSO
.BR dcuctl (1)
""",
    "dcuctl": r"""
.SH EXIT STATUS
0: done. 1: refused, or failed. 2: wrong words. 3: the daemon did not answer.
.SH ENVIRONMENT
.TP
.B DCU_SOCKET
is used where
.B \-\-socket
is not given.
.SH FILES
.I /run/dcu/dcu.sock
is where the daemon listens; root and the group dcu may talk to it.
.SH SEE ALSO
.BR dcu (1)
""",
}


def page(name: str) -> str:
    """Return the manual page of a program in roff (man macros)."""
    program, what = PROGRAMS[name]
    top = _context(program, name)
    lines = [
        f'.TH {name.upper()} 1 "" "dcu {__version__}" "Data concentrator"',
        ".SH NAME",
        rf"{name} \- {what}",
        ".SH SYNOPSIS",
        rf".B {name}",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH DESCRIPTION",
        *_told(top),
        ".SH COMMANDS",
        r"Each of them has \-\-help.",
    ]
    for context in _below(top):
        lines += [f'.SS "{_roff(context.command_path)}"', *_usage(context), *_told(context)]
    return "\n".join(lines) + _ENDS[name]


def _context(command: click.Command, word: str, parent: click.Context | None = None) -> click.Context:
    """Return the context of a command below its parent's: click keeps with a command what its first context knew."""
    return click.Context(command, parent, word, **command.context_settings)


def _below(context: click.Context) -> Iterator[click.Context]:
    """Yield every command below `context` that does something."""
    command = context.command
    if not isinstance(command, click.Group):
        yield context
        return
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        assert found is not None
        yield from _below(_context(found, word, context))


def _usage(context: click.Context) -> list[str]:
    pieces = context.command.collect_usage_pieces(context)
    return [".P", rf"\fB{_roff(context.command_path)}\fR {_roff(' '.join(pieces))}"]


def _told(context: click.Context) -> list[str]:
    """Return help, options and examples."""
    command = context.command
    lines = [".P", *_paragraphs(command.help or "")]
    for parameter in command.params:  # without --help, which every command has
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            option, meaning = record
            lines += [".TP", rf"\fB{_roff(option)}\fR", _roff(meaning)]
    return [*lines, *_examples(command.epilog or "")]


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", dedent(text).strip()):
        yield _roff(" ".join(paragraph.split()))
        yield ".P"


def _examples(epilog: str) -> list[str]:
    """Return the examples as they stand, without the marks that keep click from filling them."""
    examples = [line for line in dedent(epilog.replace("\b", "")).splitlines() if line.startswith("  ")]
    if not examples:
        return []
    return [".P", "Examples:", ".EX", *(_roff(line) for line in examples), ".EE"]


def _roff(text: str) -> str:
    """Return `text` as roff shows it: hyphens that can be copied, and nothing taken for a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def main() -> None:
    """Write the pages into the directory that is named."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        (directory / f"{name}.1").write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
