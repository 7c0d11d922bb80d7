"""What a daemon carries that is run as its unit does; what `run` says and how it ends is in test_dcu.py."""

import subprocess
import sys
from pathlib import Path

from dcu.cli.running import EXIT_FAILED
from dcu.cli.unloaded import HARDLY_USED
from dcu.host.ending import alone

#: What a daemon has no use for: colours, tables, command lines, the parser of YAML, guesses at misspelt keys, the rare
#: objects, and what paho has for proxies.
FOREIGN = {"rich", "click", "csv", "decimal", "yaml", "difflib", "gurux_dlms", "zipfile", "http", "email", "tempfile"}

#: What of our own it has no use for until there is such a meter, or somebody changes the configuration.
RARELY_NEEDED = {
    "dcu.forms.shape",
    "dcu.config.keys",
    "dcu.config.meters",
    "dcu.dlms.short_names",
    "dcu.dlms.agreement",
}

#: It is loaded whole, and finds no place for its store.
CONFIG = """\
dcu: {id: D1, data: /dev/null/data}
uplink: {host: localhost}
buses: [{name: a, port: /dev/null}]
access: {public: {client: 16}}
meters: [{id: M1, bus: a, address: 17, access: public, profile: idis}]
timetable: {instant: {every: 5m}}
"""

#: What measures coverage brings some of it along.
PROGRAM = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print(*(name for name in set(sys.modules) - before if not waits(sys.modules[name]))))
def waits(module):
    return "__getattr__" in vars(module) and module.__getattr__.__module__ == "dcu.cli.unloaded"
from dcu.cli.main import main
main()
"""


def test_a_daemon_carries_nothing_that_only_people_need(tmp_path: Path) -> None:
    file = tmp_path / "dcu.yaml"
    file.write_text(CONFIG)
    words = [sys.executable, "-c", PROGRAM, "run", "-c", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, "/dev/null/data" in done.stderr) == (EXIT_FAILED, True)
    loaded = done.stdout.split()
    assert "dcu.daemon" in loaded
    assert FOREIGN.isdisjoint(name.partition(".")[0] for name in loaded)
    assert set(HARDLY_USED).isdisjoint(loaded)
    assert RARELY_NEEDED.isdisjoint(loaded)


def said_by_a_daemon(tmp_path: Path, **dcu: object) -> str:
    file = tmp_path / "dcu.yaml"
    section = ", ".join(f"{key}: {value}" for key, value in ({"id": "D1"} | dcu).items())
    file.write_text(CONFIG.replace("id: D1, data: /dev/null/data", section))
    words = [sys.executable, "-m", "dcu.cli.main", "run", "-c", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_FAILED
    return done.stderr.splitlines()[-1]


def test_what_only_the_operator_can_mend_is_not_called_our_fault(tmp_path: Path) -> None:
    said = said_by_a_daemon(tmp_path, data=tmp_path, socket=tmp_path / "none" / "s")
    assert said.startswith(f"dcu: {tmp_path}/none/s: cannot open the local socket: ")
    assert said.endswith(" (to be mended by: operator)")
    with alone(tmp_path / "store.lock"):
        said = said_by_a_daemon(tmp_path, data=tmp_path)
    assert said == f"dcu: {tmp_path} is in use by another dcu run (to be mended by: operator)"
