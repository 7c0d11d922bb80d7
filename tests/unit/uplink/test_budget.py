import json
from pathlib import Path

import pytest

from dcu.clock import DAY
from dcu.errors import StoreError
from dcu.uplink.budget import Budget

NOON = 20_000.5 * DAY


class Counting:
    """Seconds that a test counts."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


STILL = Counting()


def test_octets_are_counted_by_channel_and_day(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "uplink.json", STILL)
    budget.take("gprs", 700, NOON)
    budget.take("gprs", 50, NOON + DAY / 2 - 1)
    budget.take("sat", 1, NOON)
    assert (budget.taken("gprs", NOON), budget.taken("sat", NOON), budget.taken("eth", NOON)) == (750, 1, 0)
    assert budget.taken("gprs", NOON + DAY / 2) == 0


def test_the_count_outlives_the_process(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "uplink.json", STILL)
    budget.take("gprs", 700, NOON)
    budget.save()
    again = Budget(tmp_path / "uplink.json", STILL)
    assert again.taken("gprs", NOON) == 700
    again.save()
    assert Budget(tmp_path / "uplink.json", STILL).taken("gprs", NOON + DAY) == 0


def test_while_nobody_knows_the_day_it_is_still_the_one_before(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "uplink.json", STILL)
    budget.take("gprs", 700, NOON)
    budget.take("gprs", 1, None)
    assert budget.taken("gprs", None) == 701


def test_a_clock_that_goes_back_over_midnight_makes_no_second_day(tmp_path: Path) -> None:
    count = Counting()
    budget = Budget(tmp_path / "uplink.json", count)
    budget.take("gprs", 700, NOON)
    assert budget.taken("gprs", NOON - DAY) == 700
    count.at += DAY / 2
    assert budget.taken("gprs", NOON - DAY / 2) == 0, "a day has passed since its midnight, whatever the date is"


def test_without_a_date_a_day_has_24_hours_also_over_restarts(tmp_path: Path) -> None:
    count = Counting()
    budget = Budget(tmp_path / "uplink.json", count)
    budget.take("gprs", 700, None)
    count.at += DAY - 2
    assert budget.taken("gprs", None) == 700
    budget.save()
    again = Budget(tmp_path / "uplink.json", count)
    count.at += 3
    assert again.taken("gprs", None) == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"day": "x", "taken": {}}', '{"day": 1, "taken": []}'])
def test_a_file_that_says_nothing_begins_at_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "uplink.json").write_text(text)
    assert Budget(tmp_path / "uplink.json", STILL).taken("gprs", NOON) == 0


def test_nothing_is_written_that_is_there_already(tmp_path: Path) -> None:
    file = tmp_path / "uplink.json"
    budget = Budget(file, STILL)
    budget.save()
    assert not file.exists()
    budget.take("gprs", 7, NOON)
    budget.save()
    assert json.loads(file.read_text()) == {"day": 20_000, "lasted": DAY / 2, "taken": {"gprs": 7}}
    file.unlink()
    budget.save()
    assert not file.exists()


def test_where_it_cannot_be_kept(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "none" / "uplink.json", STILL)
    budget.take("gprs", 7, NOON)
    with pytest.raises(StoreError, match=r"uplink\.json: cannot be written"):
        budget.save()
