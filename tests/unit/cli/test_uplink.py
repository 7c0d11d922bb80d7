"""`dcuctl uplink` in words, and what it asks."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dcu.cli import dcuctl, talk
from dcu.clock import SystemClock
from dcu.config import ChannelSettings, UplinkSettings
from dcu.uplink.ways import Ways

CHANNELS = (
    ChannelSettings("eth", interface="eth0", silence=3.0),
    ChannelSettings("gprs", metered=True, budget=5_000_000, carries=frozenset({"daily"})),
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    way = Ways(UplinkSettings("broker", "D", channels=CHANNELS), "D", SystemClock(), tmp_path)
    way.accounts["gprs"].error = "connection refused"
    requests: list[tuple[str, dict[str, Any]]] = []

    def ask(_: talk.Daemon, name: str, **args: Any) -> dict[str, Any]:
        requests.append((name, args))
        way.channels.prefer(args.get("channel"))
        return {"state": "done", "result": way.describe()}

    monkeypatch.setattr(talk.Daemon, "ask", ask)
    return requests


def said(*words: str) -> str:
    found = CliRunner().invoke(dcuctl.cli, ["uplink", *words])
    assert found.exit_code == 0, found.output
    return found.output


def test_every_channel_with_what_it_costs(asked: list[Any]) -> None:
    text = said()
    assert text.startswith("not connected: eth to broker:1883\n")
    assert "gprs: last error: connection refused" in text
    assert "gprs: data of daily only" in text
    (eth,) = [line.split() for line in text.splitlines() if line.strip().startswith("eth ")]
    assert eth == ["eth", "free", "eth0", "broker:1883", "3.75", "s", "9.22", "MB", "0", "0"]
    assert "0.0 kB of 5.00 MB" in text
    assert asked == [("dcu.uplink", {})]


def test_a_channel_is_named_and_taken_back(asked: list[Any]) -> None:
    assert said("gprs").startswith("not connected: gprs to broker:1883, gprs was asked for")
    assert said("auto").startswith("not connected: eth to broker:1883\n")
    assert asked == [("dcu.switch-uplink", {"channel": "gprs"}), ("dcu.switch-uplink", {})]


def test_as_json(asked: list[Any]) -> None:
    assert json.loads(said("--json"))["channels"][0]["name"] == "eth"
