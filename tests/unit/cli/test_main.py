"""The entry of `dcu`: how a daemon is told from what has to be read with care."""

from collections.abc import Sequence

import pytest

from dcu.cli import main
from dcu.cli.main import CONFIG


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["run"], CONFIG),
        (["run", "-c", "here.yaml"], "here.yaml"),
        (["run", "--config", "here.yaml"], "here.yaml"),
        (["run", "-chere.yaml"], None),
        (["run", "--help"], None),
        (["check", "-c", "here.yaml"], None),
        (["run", "-c"], None),
        ([], None),
    ],
)
def test_a_run_that_says_no_more_is_begun_at_once(
    monkeypatch: pytest.MonkeyPatch, words: Sequence[str], path: str | None
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(main, "HARDLY_USED", ())
    monkeypatch.setattr("dcu.cli.running.run", begun.append)
    monkeypatch.setattr("dcu.cli.dcu.cli", lambda **names: begun.append(names["prog_name"]))
    monkeypatch.setattr("sys.argv", ["/usr/bin/dcu", *words])
    main.main()
    assert begun == [path or "dcu"]


def test_the_entry_point_calls_itself_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/main.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 0
    assert "Usage: dcu " in capsys.readouterr().out
