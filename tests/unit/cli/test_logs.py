"""The log as the journal and as a person get it."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from dcu.cli.logs import set_up_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    level = logging.getLogger("mqtt").level
    yield
    logging.getLogger("mqtt").setLevel(level)
    structlog.reset_defaults()


def test_the_journal_gets_one_line_of_keys_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    set_up_logs("info")
    structlog.get_logger().warning("visit failed", bus="rs485-1", reason="silent for 2.0 s", tries=2, dead=False)
    assert errors.getvalue() == (
        'level=warning event="visit failed" bus=rs485-1 reason="silent for 2.0 s" tries=2 dead=false\n'
    )


def test_a_terminal_gets_the_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = Terminal()
    monkeypatch.setattr(sys, "stderr", errors)
    set_up_logs("info")
    structlog.get_logger().info("ready", meters=4)
    line = errors.getvalue()
    assert "ready" in line
    assert "meters" in line
    assert line.count(":") >= 2
    assert line.endswith("\n")


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_not_said(monkeypatch: pytest.MonkeyPatch, level: str, count: int) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    set_up_logs(level)
    log = structlog.get_logger()
    for say in (log.debug, log.info, log.warning, log.error):
        say("x")
    assert len(errors.getvalue().splitlines()) == count


def test_what_the_broker_library_says_is_said_once_in_our_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    set_up_logs("debug")
    assert not logging.getLogger("mqtt").isEnabledFor(logging.ERROR)


def test_the_daemon_does_not_carry_the_tools_tables_with_it() -> None:
    program = "import sys, dcu.cli.logs; print([name for name in sys.modules if name.split('.')[0] == 'rich'])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


class Says(Exception):  # noqa: N818 - says what it is given
    """What a stranger made it say."""


@pytest.mark.parametrize("errors", [io.StringIO(), Terminal()], ids=["journal", "terminal"])
def test_what_strangers_say_is_text_and_forges_no_line(errors: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", errors)
    set_up_logs("info")
    log, nasty = structlog.get_logger(), "a\x1b[2J\nfine\u202e"
    log.warning("uplink lost", error=nasty, why=Says(nasty), words=[nasty], seconds=1.5)
    ours = errors.getvalue().replace("\x1b[0m", "").rstrip("\n")
    assert "\n" not in ours
    for forged in ("\x1b[2J", "\u202e"):
        assert forged not in ours
    # where a word has to be quoted, backslashes are doubled
    assert ours.replace("\\\\", "\\").count(r"a\x1b[2J\nfine\u202e") == 3


@pytest.mark.parametrize("errors", [io.StringIO(), Terminal()], ids=["journal", "terminal"])
def test_a_traceback_keeps_its_lines_and_nothing_a_terminal_obeys(
    errors: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", errors)
    set_up_logs("info")
    try:
        b"x".decode("\x1b[2J")
    except LookupError:
        structlog.get_logger().exception("mistake")
    assert "Traceback (most recent call last):" in errors.getvalue()
    assert "x1b[2J" in errors.getvalue()
    assert "\x1b[2J" not in errors.getvalue()
    assert (errors.getvalue().count("\n") > 3) is errors.isatty()
