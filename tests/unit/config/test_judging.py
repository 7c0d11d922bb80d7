"""The judgement of lines is loaded where it is made; what it finds is held in test_lines."""

import subprocess
import sys
from pathlib import Path

from dcu.config import BusConfig
from dcu.config.judging import judge
from dcu.config.table import Standing, Table
from dcu.model import Access

ROOT = Path(__file__).parents[3]


def test_naming_it_loads_neither_the_judge_nor_what_reads_forms() -> None:
    program = (
        "import sys, dcu.config.judging\n"
        "sys.exit(any(name in sys.modules for name in ('dcu.config.lines', 'yaml', 'cryptography')))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_it_says_what_may_be_added_to_what_is_there() -> None:
    standing = Standing(
        (), (BusConfig("a", "/dev/ttyS1"),), {"public": Access("public")}, lambda: {"idis": frozenset()}, None
    )
    columns = ("id", "bus", "address", "access", "profile")
    rows = (("M1", "a", "17", "public", "idis"), ("M2", "b", "18", "public", "idis"))
    found = judge(Table("m.csv", columns, rows, (2, 3)), standing)
    assert ([meter.id for meter in found.meters], found.bad) == (["M1"], 1)
    assert found.problems[0].startswith("m.csv:3: bus: ")
