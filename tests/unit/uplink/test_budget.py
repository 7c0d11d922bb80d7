import json
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.uplink.budget import DAY, Budget

NOON = 20_000.5 * DAY


def test_octets_are_counted_by_channel_and_day(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "uplink.json")
    budget.take("gprs", 700, NOON)
    budget.take("gprs", 50, NOON + DAY / 2 - 1)
    budget.take("sat", 1, NOON)
    assert (budget.taken("gprs", NOON), budget.taken("sat", NOON), budget.taken("eth", NOON)) == (750, 1, 0)
    assert budget.taken("gprs", NOON + DAY / 2) == 0


def test_the_count_outlives_the_process(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "uplink.json")
    budget.take("gprs", 700, NOON)
    budget.save()
    again = Budget(tmp_path / "uplink.json")
    assert again.taken("gprs", NOON) == 700
    again.save()
    assert Budget(tmp_path / "uplink.json").taken("gprs", NOON + DAY) == 0


def test_while_nobody_knows_the_day_it_is_still_the_one_before(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "uplink.json")
    budget.take("gprs", 700, NOON)
    budget.take("gprs", 1, None)
    assert budget.taken("gprs", None) == 701
    assert budget.taken("gprs", NOON - DAY) == 0, "a clock that was set back is right now"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"day": "x", "taken": {}}', '{"day": 1, "taken": []}'])
def test_a_file_that_says_nothing_begins_at_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "uplink.json").write_text(text)
    assert Budget(tmp_path / "uplink.json").taken("gprs", NOON) == 0


def test_nothing_is_written_that_is_there_already(tmp_path: Path) -> None:
    file = tmp_path / "uplink.json"
    budget = Budget(file)
    budget.save()
    assert not file.exists()
    budget.take("gprs", 7, NOON)
    budget.save()
    assert json.loads(file.read_text()) == {"day": 20_000, "taken": {"gprs": 7}}
    file.unlink()
    budget.save()
    assert not file.exists()


def test_where_it_cannot_be_kept(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "none" / "uplink.json")
    budget.take("gprs", 7, NOON)
    with pytest.raises(StoreError, match=r"uplink\.json: cannot be written"):
        budget.save()
