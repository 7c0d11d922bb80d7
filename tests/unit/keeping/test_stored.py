"""What is kept of a meter comes in pages that together are all of it, once each."""

import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcu.clock import iso
from dcu.keeping.stored import SHOWN, StoredReadings
from dcu.messages.catalogue import CATALOGUE
from dcu.messages.encoding import encode
from dcu.model import Command
from dcu.store import Store
from tests.captures import COLUMNS, SetClock, capture

DAY = 86_400


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "store.db", SetClock()) as opened:
        yield opened


async def pages(store: Store, **args: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    while True:
        checked = CATALOGUE["dcu.readings"].check({"meter": "M1", "stream": "load0", **args, **after})
        page = await StoredReadings(store.readings, SetClock(9.5 * DAY)).answer(
            Command("c1", "dcu.readings", args=checked)
        )
        found.append(dict(page))
        if page["more"] is None:
            return found
        after = {"after": page["more"]}


async def test_pages_are_all_of_it_once_each(store: Store) -> None:
    rows = [capture(day * DAY + 900 * number) for day in (2, 3, 7) for number in range(10)]
    for row in rows:
        await store.readings.record([row, capture(row.at, "M2")], {})
    found = await pages(store, **{"from": 0, "to": 9 * DAY}, limit=4)
    assert [row["at"] for page in found for row in page["captures"]] == [iso(row.at) for row in rows]
    assert max(len(page["captures"]) for page in found) == 4
    assert found[0]["columns"][0]["object"] == "1-0:1.8.0.255"
    assert found[0]["captures"][0]["values"] == list(rows[0].values)


async def test_a_page_is_of_one_shape(store: Store) -> None:
    rows = [capture(at, values=values) for at, values in ((1, (1,)), (2, (1,)), (3, (1, 2)), (4, (1,)))]
    await store.readings.record(rows, {})
    found = await pages(store, **{"from": 0, "to": 10})
    assert [(len(page["columns"]), len(page["captures"])) for page in found] == [(1, 2), (2, 1), (1, 1)]


async def test_of_a_day_with_more_rows_than_one_question_finds_all_are_shown_once(store: Store) -> None:
    times = [2 * DAY + 60 * number for number in range(1440)]
    # some of them came later: they lie as they came
    for part in (times[:240], times[480:], times[240:480]):
        await store.readings.record([replace(capture(at), read_at=9.0 * DAY) for at in part], {})
    found = await pages(store, **{"from": 0, "to": 9 * DAY})
    assert sorted(row["at"] for page in found for row in page["captures"]) == [iso(at) for at in times]
    assert {page["cut"] for page in found} == {None}


@pytest.mark.parametrize(("count", "cut"), [(SHOWN, None), (SHOWN + 2, iso(500))])
async def test_what_one_second_has_too_much_of_is_told(store: Store, count: int, cut: str | None) -> None:
    rows = [capture(400), *(capture(500, values=(number,)) for number in range(count)), capture(600)]
    await store.readings.record(rows, {})
    found = await pages(store, **{"from": 0, "to": 1000})
    assert {page["cut"] for page in found if page["captures"][0]["at"] == iso(500)} == {cut}
    assert {page["cut"] for page in found if page["captures"][0]["at"] != iso(500)} == {None}
    values = [row["values"] for page in found for row in page["captures"] if row["at"] == iso(500)]
    assert values == [[number] for number in range(count)][-SHOWN:]


async def test_one_value_that_json_cannot_hold_costs_no_other(store: Store) -> None:
    await store.readings.record([capture(1, values=(math.nan, 7)), capture(2, values=(8, 9))], {})
    (page,) = await pages(store, **{"from": 0, "to": 10})
    rows = json.loads(encode(page))["captures"]
    assert [(row["values"], row.get("lost")) for row in rows] == [([None, 7], [0]), ([8, 9], None)]


async def test_the_last_day_is_shown_where_no_time_is_named(store: Store) -> None:
    await store.readings.record([capture(8 * DAY), capture(9 * DAY)], {})
    assert [row["at"] for page in await pages(store) for row in page["captures"]] == [iso(9 * DAY)]


async def test_of_an_unknown_meter_nothing_is_kept(store: Store) -> None:
    [page] = await pages(store)
    assert (page["columns"], page["captures"]) == ([], [])


async def test_rows_without_columns_are_shown_too(store: Store) -> None:
    await store.readings.record([replace(capture(5, values=()), columns=COLUMNS[:0])], {})
    [page] = await pages(store, **{"from": 0, "to": 10})
    assert len(page["captures"]) == 1
