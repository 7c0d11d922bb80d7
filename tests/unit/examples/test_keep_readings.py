"""The example: what it keeps, and that nothing is kept twice or forgotten."""

import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dcu.messages.envelope import Envelopes
from dcu.messages.events import own_values
from dcu.model import DCU_EVENTS, Capture
from dcu_headend import Block, Column, Follower, decode
from dcu_headend import Capture as Read
from dcu_headend.mqtt import Listener
from examples.keep_readings import Keeper, readings
from tests.outbox import NOON, capture, record

ROOT = Path(__file__).parents[3]

ENVELOPES = Envelopes("D", "b")


def keep(keeper: Keeper, seq: int, captures: Sequence[Capture], limit: int = 100_000) -> list[bytes]:
    stream = captures[0].stream
    payloads = ENVELOPES.block(stream, seq, captures, limit, compact=True)
    for payload in payloads:
        keeper.take(decode(payload))
    return payloads


def count(keeper: Keeper, table: str) -> int:
    (found,) = keeper.database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


def example(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the example in `folder` as one does from a clone."""
    command = [sys.executable, str(ROOT / "examples" / "keep_readings.py"), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_example_is_short() -> None:
    text = (ROOT / "examples" / "keep_readings.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100


@pytest.mark.parametrize("words", [(), ("--help",), ("readings.db", "host"), ("readings.db", "host", "port")])
def test_without_what_it_needs_it_says_how_it_is_used(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = example(tmp_path, *words)
    assert ended.returncode == 1
    assert "usage: keep_readings.py DATABASE HOST PORT [DCU]" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_page_says_how_it_is_called_from_a_clone() -> None:
    page = (ROOT / "docs" / "reference" / "head-end.md").read_text(encoding="utf-8")
    assert "`PYTHONPATH=. python3 examples/keep_readings.py DATABASE HOST PORT [DCU]`" in page


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        (17, 17, None),
        (0.5, 0.5, None),
        (2**64, None, str(2**64)),
        (10**400, None, str(10**400)),
        (math.nan, None, "nan"),
        (b"\x01", None, "01"),
        ("x", None, "x"),
        ("x\ud800", None, "x\\ud800"),
        ("x\0", None, "x\\x00"),
        (None, None, None),
        (True, 1, None),
    ],
)
def test_values(value: object, number: object, text: object) -> None:
    keeper = Keeper(sqlite3.connect(":memory:"))
    keep(keeper, 1, [capture(values=(value,))])
    assert keeper.database.execute("SELECT number, text FROM readings").fetchall() == [(number, text)]


def test_a_truth_is_a_number_where_a_database_tells_them_apart() -> None:
    block = Block("D", "b", "load0", 1, ())
    column = Column("0-0:1.0.0.255", 1, 2)
    (row,) = readings(block, Read("M1", NOON, 0, NOON, 0.0, True, (column,), (True,)))
    assert type(row[6]) is int


def test_repeats_and_a_restart_change_nothing(tmp_path: Path) -> None:
    keeper = Keeper(sqlite3.connect(tmp_path / "r.db"))
    rows = [capture(f"M{n}", values=(n * n * 7919 % 100_003,)) for n in range(100)]
    parts = keep(keeper, 1000, rows, 400)
    assert len(parts) > 1
    keep(keeper, 1000, rows, 400)
    keep(keeper, 1002, rows[:1])
    keeper.database.close()
    keeper = Keeper(sqlite3.connect(tmp_path / "r.db"))
    for part in parts:
        keeper.take(decode(part))
    assert count(keeper, "readings") == 100
    assert [(gap.first, gap.last) for gap in keeper.follower.gaps()] == [(1001, 1001)]


def test_events_results_and_what_was_dropped() -> None:
    keeper = Keeper(sqlite3.connect(":memory:"))
    events = [
        Capture("D", DCU_EVENTS, NOON, 255, own_values("meter found", {"n": n}), (), NOON + 1.0, None, trusted=True)
        for n in (1, 2, 2)
    ]
    keep(keeper, 1, events)
    assert count(keeper, "events") == 2
    (payload,) = ENVELOPES.block("load0", 1, [capture(values=("x" * 500,))], 400)
    keeper.take(decode(payload))
    rows = keeper.database.execute("SELECT meter, at, until, count, why FROM dropped").fetchall()
    assert rows == [("M0001", NOON, NOON, 1, "oversized")]
    (payload,) = ENVELOPES.block("result", 1, [record(result={"now": 1})], 1000)
    keeper.take(decode(payload))
    keeper.take(decode(payload))
    assert keeper.database.execute("SELECT id, state FROM results").fetchall() == [("c1", "done")]
    keeper.take(decode(ENVELOPES.health(NOON, {})))


def test_what_died_with_a_broker_is_known_after_the_next_birth() -> None:
    keeper = Keeper(sqlite3.connect(":memory:"))
    keep(keeper, 1000, [capture()])
    keeper.take(decode(ENVELOPES.birth(NOON, {"load0": 1002}, {"load0": 1002}, {}, "5")))
    assert [(gap.first, gap.last, gap.lost) for gap in keeper.follower.gaps()] == [(1001, 1001, True)]


class Line(Listener):
    """Notes what would be sent."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, lambda *_: None, identifier="h")
        self.wishes: list[tuple[str, dict[str, object]]] = []
        self.words: list[dict[str, bytes]] = []

    def send(self, dcu: str, command: bytes) -> None:
        self.wishes.append((dcu, json.loads(command)["args"]))

    def acknowledge(self, follower: Follower) -> None:
        self.words.append(follower.acknowledgements())


def test_it_acknowledges_what_is_kept_and_asks_for_what_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    keeper, line = Keeper(sqlite3.connect(":memory:")), Line()
    keeper.take(decode(ENVELOPES.birth(NOON, {}, {}, {}, "5")))
    keep(keeper, 1000, [capture()])
    keep(keeper, 1002, [capture(at=NOON + 60)])
    keeper.tend(line)
    assert line.words == [{"D": b'{"streams": {"load0": 1000}}'}]
    assert "first=1001, last=1001, lost=False" in capsys.readouterr().out
    keeper.take(decode(ENVELOPES.birth(NOON, {"load0": 1003}, {"load0": 1002}, {}, "5")))
    keeper.tend(line)
    assert not line.wishes
    keeper.tend(line)
    assert line.wishes == [("D", {"stream": "load0", "from_seq": 1001, "to_seq": 1001})]


def test_what_could_not_be_committed_is_not_taken_for_kept(tmp_path: Path) -> None:
    keeper = Keeper(sqlite3.connect(tmp_path / "r.db"))
    keeper.database.execute("DROP TABLE readings")
    with pytest.raises(sqlite3.OperationalError):
        keep(keeper, 1, [capture()])
    keeper.database.close()
    keeper = Keeper(sqlite3.connect(tmp_path / "r.db"))
    keep(keeper, 1, [capture()])
    assert count(keeper, "readings") == 1


def test_what_was_locked_out_is_kept_when_it_comes_again_and_not_acknowledged_before(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "r.db", timeout=0.0)
    keeper, line = Keeper(database), Line()
    keeper.take(decode(ENVELOPES.birth(NOON, {}, {}, {}, "5")))
    (payload,) = ENVELOPES.block("load0", 1, [capture()], 1000, compact=True)
    other = sqlite3.connect(tmp_path / "r.db")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        keeper.take(decode(payload))
    keeper.tend(line)
    assert line.words == [{}]
    other.rollback()
    for _ in range(2):
        keeper.take(decode(payload))
    assert count(keeper, "readings") == 1
    assert keeper.follower.positions() == {("D", "load0"): 1}
