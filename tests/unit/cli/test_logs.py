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
