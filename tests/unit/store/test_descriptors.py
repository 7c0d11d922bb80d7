"""The descriptor cache: what a meter said last, by name."""

from pathlib import Path

from dcu.store import Store
from tests.captures import SetClock


async def test_descriptors_are_kept_by_meter_and_name(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.descriptors.put("M1", "load0", {"period": 900, "columns": [[3, "1-0:1.8.0.255"]]})
        await store.descriptors.put("M1", "daily", {"period": 86400})
        await store.descriptors.put("M2", "load0", {"hex": "not octets"})
    async with Store.open(path, clock) as store:
        assert await store.descriptors.of("M1") == {
            "load0": {"period": 900, "columns": [[3, "1-0:1.8.0.255"]]},
            "daily": {"period": 86400},
        }
        assert await store.descriptors.of("M2") == {"load0": {"hex": "not octets"}}
        assert await store.descriptors.of("M3") == {}


async def test_a_later_descriptor_replaces_the_one_before(store: Store) -> None:
    await store.descriptors.put("M1", "load0", [1])
    await store.descriptors.put("M1", "load0", [2])
    assert await store.descriptors.of("M1") == {"load0": [2]}


async def test_meters_of_one_model_share_what_they_say(store: Store) -> None:
    for meter in ("M1", "M2", "M3"):
        await store.descriptors.put(meter, "load0", {"period": 900})
    assert await store.database.read("SELECT count(*) FROM layouts") == [(1,)]


async def test_what_cannot_be_read_is_left_out(store: Store) -> None:
    await store.descriptors.put("M1", "load0", {"period": 900})
    await store.descriptors.put("M1", "events", {"period": 0})
    await store.database.write(
        lambda database: database.execute("UPDATE layouts SET content = '{' WHERE content LIKE '%900%'")
    )
    assert await store.descriptors.of("M1") == {"events": {"period": 0}}
