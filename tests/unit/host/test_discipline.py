"""What the system says of its clock, and what is kept of it."""

from pathlib import Path

import pytest

from dcu.clock import Discipline
from dcu.errors import StoreError
from dcu.host.discipline import DisciplineFile, asking_kernel


def test_the_kernel_answers_yes_or_no() -> None:
    synchronised = asking_kernel()
    assert synchronised() in {True, False}
    assert synchronised() is synchronised()


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    file = DisciplineFile(tmp_path / "clock.json")
    assert file.load() is None
    file.save(Discipline(12.5, 1_800_000_000.25))
    file.save(Discipline(13.5, 1_800_000_000.25))
    assert DisciplineFile(tmp_path / "clock.json").load() == Discipline(13.5, 1_800_000_000.25)
    assert [path.name for path in tmp_path.iterdir()] == ["clock.json"]


@pytest.mark.parametrize("text", ["", "[1]", "[1, 2, 3]", "{}", '["a", 1]', "null", "\x00", "[null, 1]"])
def test_a_spoilt_file_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    assert DisciplineFile(path).load() is None


def test_a_disk_that_keeps_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        DisciplineFile(tmp_path / "none" / "clock.json").save(Discipline(1.0, 2.0))
