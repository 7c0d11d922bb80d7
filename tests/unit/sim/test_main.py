import asyncio
import signal
import sys
from pathlib import Path

import pytest

from sim.__main__ import main


def test_help_shows_examples(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["sim", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "python -m sim fleet --meters 48 --buses 3" in capsys.readouterr().out


def test_an_impossible_fleet_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["sim", "fleet", "--meters", "2", "--tcp-meters", "3", "--dir", "/nowhere"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "no more TCP meters than meters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--frame-loss 2", "argument --frame-loss: expected 0 to 1, got '2'"),
        ("--late nan", "argument --late: expected 0 to 1, got 'nan'"),
        ("--chatter -0.1", "argument --chatter: expected 0 to 1, got '-0.1'"),
        ("--baud 1234", "argument --baud: invalid choice: 1234"),
        ("--meters 99999", "argument --meters: expected 1 to 1024, got '99999'"),
        ("--buses 0", "argument --buses: expected 1 to 1024, got '0'"),
        ("--meters 8 --silent M0008 M0009 M9999", "--silent: no such meter: M0009, M9999"),
    ],
)
def test_what_cannot_be_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["sim", "fleet", "--dir", "/nowhere", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_load_of_a_day_is_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["sim", "load", "--meter", "M0007", "--solar"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("M0007, 20")
    assert len(lines) == 25
    assert "+" in lines[13]
    assert "#" in lines[22]


async def test_a_fleet_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    plan = ("--meters", "3", "--buses", "1", "--tcp-meters", "1", "--old", "0.5")
    arguments = ("-m", "sim", "fleet", *plan, "--dir", str(tmp_path))
    running = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert running.stdout is not None
    shown = (await running.stdout.readuntil(b"Ctrl-C ends\n")).decode()
    assert "rs485-1: 2 meters at /dev/pts/" in shown
    assert "gateway-1: 1 meters at tcp://127.0.0.1:" in shown
    assert "referencing: sn" in (tmp_path / "dcu.yaml").read_text()
    running.send_signal(signal.SIGINT)
    assert b"reads served: none" in await running.stdout.read()
    assert await running.wait() == 0
