"""A module that is loaded when something of it is asked for is the same to whoever asks."""

import subprocess
import sys
from pathlib import Path


def found(program: str) -> str:
    """Return what `program` says in a Python of its own."""
    start = "import sys\nfrom dcu.cli.unloaded import load_when_asked\n"
    return subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, check=True).stdout


def test_it_waits_until_it_is_asked_and_is_then_what_it_always_was() -> None:
    program = """
load_when_asked("urllib.request")
import urllib.request as late, urllib
print("http.client" in sys.modules, urllib.request is late is sys.modules["urllib.request"], late.__name__)
from urllib.request import getproxies
print("http.client" in sys.modules, getproxies is late.getproxies, hasattr(late, "none"), "__getattr__" in vars(late))
"""
    assert found(program).splitlines() == ["False True urllib.request", "True True False False"]


def test_what_is_there_stays_and_what_there_is_not_is_not_found() -> None:
    program = """
import json.decoder as before
load_when_asked("json.decoder")
load_when_asked("no_such_module")
print(sys.modules["json.decoder"] is before, "no_such_module" in sys.modules)
"""
    assert found(program) == "True False\n"


def test_a_second_thread_waits_until_the_first_has_loaded_it() -> None:
    program = """
import threading
from importlib.machinery import SourceFileLoader
load = SourceFileLoader.exec_module
begun, go_on = threading.Event(), threading.Event()
def slowly(self, module):
    if module.__name__ == "colorsys":  # nobody else loads it, and whoever measures what is covered loads others
        begun.set()
        assert go_on.wait(60)
    load(self, module)
SourceFileLoader.exec_module = slowly
load_when_asked("colorsys")
import colorsys
seen = []
threads = [threading.Thread(target=lambda: seen.append(colorsys.ONE_SIXTH * 6)) for _ in range(2)]
threads[0].start()
assert begun.wait(60)
threads[1].start()
go_on.set()
for thread in threads:
    thread.join()
print(seen)
"""
    assert found(program) == "[1.0, 1.0]\n"


def test_who_imports_what_needs_one_and_who_loads_what_imports_that_do_not_wait_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text("import between")
    (tmp_path / "between.py").write_text("from inner import word")
    (tmp_path / "inner.py").write_text("word = 'done'")
    program = f"""
import threading
from importlib.machinery import SourceFileLoader
sys.path.append({str(tmp_path)!r})
load, both = SourceFileLoader.exec_module, threading.Barrier(2)
def together(self, module):
    if module.__name__ in ("outer", "between"):
        both.wait(60)
    load(self, module)
SourceFileLoader.exec_module = together
load_when_asked("outer")
load_when_asked("inner")
import outer
seen = []
def ask():
    seen.append(outer.between.word)
def need():
    import between
    seen.append(between.word)
threads = [threading.Thread(target=each, daemon=True) for each in (ask, need)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
print(seen)
"""
    assert found(program) == "['done', 'done']\n"


def test_what_could_not_be_loaded_is_loaded_when_it_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text("import sys\nhalf = 1\nif sys.failing: raise OSError('no file left')\nwhole = 2")
    program = f"""
sys.path.append({str(tmp_path)!r})
load_when_asked("late")
import late
sys.failing = True
for word in ("whole", "half"):
    try:
        print(getattr(late, word))
    except OSError as error:
        print(error)
sys.failing = False
print(late.half, late.whole, "__getattr__" in vars(late))
"""
    assert found(program).splitlines() == ["no file left", "no file left", "1 2 False"]
