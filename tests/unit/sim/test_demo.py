"""How a show is asked for, and the exit status in which its verdict ends."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sim import demo
from sim.account import Line
from sim.demo import Options, main

EVEN = Line("load0", 10, 10, 10, 10)


def ending(monkeypatch: pytest.MonkeyPatch, end: Sequence[Line] | Exception) -> list[Options]:
    """Let a show end so, and return how it was asked for."""
    asked: list[Options] = []

    async def run(options: Options, directory: Path) -> Sequence[Line]:
        assert directory.is_dir()
        asked.append(options)
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setattr(demo, "_run", run)
    return asked


def test_an_even_account_is_a_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ending(monkeypatch, [EVEN])
    assert main([]) == 0
    assert capsys.readouterr().out.endswith("every reading that was due arrived, and was right\n")


@pytest.mark.parametrize(
    "line",
    [Line("daily", 1, 1, 1, 1, wrong=1), Line("daily", 1, 1, 1, 1, missing=1), Line("daily", 1, 1, 2, 1)],
    ids=["wrong", "missing", "stored in vain"],
)
def test_one_line_that_is_not_even_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: Line
) -> None:
    ending(monkeypatch, [EVEN, line])
    assert main([]) == 1
    assert "the account is not even" in capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError("no port"), RuntimeError("the daemon does not answer")])
def test_a_show_that_could_not_be_given_is_neither(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    ending(monkeypatch, error)
    assert main([]) == 2
    assert capsys.readouterr().err == f"the show failed: {error}\n"


def test_what_is_asked_for_is_what_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = ending(monkeypatch, [EVEN])
    words = "--meters 6 --buses 2 --baud 2400 --seconds 12 --speed 10 --outage 4 --seed 3 --embedded --directory"
    assert main([*words.split(), str(tmp_path / "kept")]) == 0
    assert asked == [
        Options(
            meters=6,
            buses=2,
            baud=2400,
            seconds=12,
            speed=10,
            outage=4,
            seed=3,
            embedded=True,
            directory=tmp_path / "kept",
        )
    ]
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize(
    "words",
    [
        ["--meters", "0"],
        ["--buses", "0"],
        ["--speed", "0"],
        ["--speed", "nan"],
        ["--seconds", "inf"],
        ["--outage", "-1"],
        ["--baud", "fast"],
        ["--baud", "1234"],
        ["--meters", "99999"],
    ],
)
def test_an_impossible_show_is_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: scripts/demo" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_is_no_mistake_of_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ending(monkeypatch, [EVEN])
    (tmp_path / "file").touch()
    assert main(["--directory", str(tmp_path / "file" / "kept")]) == 2
    assert "the show failed: [Errno 20] Not a directory" in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "scripts/demo --outage 20" in capsys.readouterr().out
