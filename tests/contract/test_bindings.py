"""How a whole daemon sends is what the bindings of docs/asyncapi.yaml say: QoS, retained or not, forgotten when."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from dcu.uplink import Outgoing
from sim.virtual import VirtualClock
from tests.asyncapi import DOCUMENT, followed
from tests.lines import virtually
from tests.outbox import capture, record
from tests.rig import Rig


def bindings() -> dict[str, dict[str, Any]]:
    """Return what is bound to the topics of each channel up, by a pattern of its address."""
    found = {}
    for operation in DOCUMENT["operations"].values():
        if operation["action"] == "send":
            address = followed(operation["channel"]["$ref"])["address"]
            found[re.sub(r"\{\w+\}", "[^/]+", address)] = operation["bindings"]["mqtt"]
    return found


def typed() -> set[str]:
    """Return the topics of which docs/reference/mqtt.md says that MQTT 5 names their content type, as patterns."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "mqtt.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"On the topics (.*?) MQTT 5 says which in the content type", page)
    return {"ami/v1/[^/]+/" + re.sub(r"\{\w+\}", "[^/]+", topic) for topic in re.findall("`(.+?)`", listed)}


def told(message: Outgoing) -> dict[str, Any]:
    expiry = {} if message.expiry is None else {"messageExpiryInterval": message.expiry}
    return {"qos": message.qos, "retain": message.retain, "bindingVersion": "0.2.0"} | expiry


def test_every_message_is_sent_as_it_is_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        rig = Rig(clock, tmp_path, monkeypatch)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.daemon().run(rig.stop))
            rig.store.add(capture(stream="event.fraud"), record())
            await asyncio.sleep(1000)
            rig.stop.set()
            await running
        sent = rig.broker.sent
        expected = bindings()
        kinds = {pattern: [each for each in sent if re.fullmatch(pattern, each.topic)] for pattern in expected}
        assert sum(map(len, kinds.values())) == len(sent)
        assert all(kinds.values())
        for pattern, messages in kinds.items():
            assert all(told(each) == expected[pattern] for each in messages), pattern
            named = {each.content_type for each in messages}
            assert named == ({"application/json"} if pattern in typed() else {None}), pattern

    virtually(work)
