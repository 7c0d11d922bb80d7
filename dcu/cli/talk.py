"""Talking to a running daemon over its local socket: one request, its answer, and a clear word when there is none."""

import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import click

from dcu.cli.foreign import visible, visible_in

#: How long the daemon may stay silent: an on-demand read on a slow, busy bus takes seconds, not minutes.
SILENCE = 120.0

#: What `when` makes of an option that may be left out.
Time: TypeAlias = str | int | None

#: Lines asked for at once: an answer that fits the door.
PART = 256

as_json = click.option("--json", "raw", is_flag=True, help="Print the daemon's answer as JSON.")


def when(text: str) -> str | int:
    """Return a time as the daemon takes it, which judges it: digits are UTC seconds, anything else is a text."""
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else text


class Daemon:
    """One request at a time to the daemon behind a socket path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def ask(self, name: str, *, meters: tuple[str, ...] = (), **args: Any) -> dict[str, Any]:
        """Send a command and return its last journal line; ends the program with a clear word when it failed."""
        request: dict[str, Any] = {"id": f"local-{uuid.uuid4()}", "name": name, "args": args}
        if meters:
            request["targets"] = {"meters": list(meters)}
        answer: dict[str, Any] = {}
        try:
            for line in self._exchange(request):
                answer = json.loads(line)
        except (OSError, ValueError) as error:
            fail(self._why(error), 3)
        if answer.get("state") != "done":
            reason = answer.get("error") or "the daemon gave no reason"
            told = f"{name}: {answer.get('state', 'no answer')}: {reason}"
            # an import's faults are a line each; set in, none can pass for a word of ours
            fail("\n  ".join(map(visible, told.split("\n"))), 1)
        return answer

    def _why(self, error: OSError | ValueError) -> str:
        match error:
            case PermissionError():
                may = "be root or in the group dcu (adduser USER dcu, and log in anew)"
                return f"you may not talk to the daemon at {self._path}: {may}"
            case TimeoutError():
                return f"the daemon at {self._path} gave no answer in {SILENCE:g} s"
            case OSError():
                reason = error.strerror or error
                return f"cannot reach the daemon at {self._path}: {reason}\nIs it running? Try: systemctl status dcu"
            case _:
                return f"what answers at {self._path} is no dcu"

    def _exchange(self, request: dict[str, Any]) -> Iterator[str]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SILENCE)
            connection.connect(self._path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile() as lines:
                yield from lines


def present(found: Any, show: Callable[[Any], None], *, raw: bool) -> None:
    """Print `found` as JSON when it is wanted `raw`, else as `show` does, which gets it `visible`."""
    click.echo(json.dumps(found, indent=2)) if raw else show(visible_in(found))


def fail(message: str, code: int) -> NoReturn:
    """End the program with `message` and the exit status `code`."""
    click.echo(visible(f"dcuctl: {message}", keep="\n"), err=True)
    raise SystemExit(code)


def ask_all(daemon: Daemon, name: str, key: str) -> list[Any]:
    """Return all lines of an answer that comes in parts."""
    found: list[Any] = []
    while True:
        part: dict[str, Any] = {"from": len(found), "count": PART}
        result = daemon.ask(name, **part)["result"]
        found += result[key]
        if len(found) >= result["total"] or not result[key]:
            return found
