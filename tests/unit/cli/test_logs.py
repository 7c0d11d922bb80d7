"""The daemon's log, and what it must not take along: modules stay in memory for as long as the daemon runs."""

import json
import subprocess
import sys

import pytest
import structlog

from dcu.cli.logs import set_up_logs

#: Megabytes each, needed by other programs of the package, by the child that parses, or by tests only.
HEAVY = {"rich", "pygments", "yaml", "gurux_dlms", "cattrs", "attr", "pydantic", "unittest", "multiprocessing"}


def test_the_daemon_carries_nothing_heavy() -> None:
    # what is there before belongs to the interpreter, or to the measuring of coverage
    imports = "before = set(sys.modules); import dcu.cli.dcu, dcu.daemon"
    program = f"import json, sys; {imports}; print(json.dumps(sorted(set(sys.modules) - before)))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not HEAVY & {name.partition(".")[0] for name in json.loads(found)}


def test_rich_is_there_for_others_afterwards() -> None:
    program = "import dcu.cli.logs, rich.table; print(rich.table.Table.__name__)"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found == "Table\n"


def test_a_line_of_the_journal_names_level_and_event_first(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        set_up_logs("info")
        structlog.get_logger().info("ready", meters=3)
        structlog.get_logger().debug("not shown")
    finally:
        structlog.reset_defaults()
    assert capsys.readouterr().err == "level=info event=ready meters=3\n"
