"""A daemon is killed while it changes the keys of a meter: after each start the meter opens, and the next try ends."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

from dcu.model import Keys
from sim.fleet import FleetPlan
from sim.stage import Setting, Stage
from tests.system.playing import Play

TIMETABLE = {"load0": (900, 3600)}

#: One daemon is killed so often, each time at another moment of a change.
KILLS = 3

TARGET = {"targets": {"meters": ["M0001"]}}


def offer(stage: Stage, number: int) -> Keys:
    """Write new keys into the file of the box, and return the secrets of a meter that has taken them."""
    encryption, authentication = bytes((number, 1) * 8), bytes((number, 2) * 8)
    path = stage.directory / "new.yaml"
    path.touch(0o600)
    path.write_text(f"default: {{encryption_key: {encryption.hex()}, authentication_key: {authentication.hex()}}}\n")
    keys = stage.fleet.meters[0].plate.keys
    return replace(keys, encryption_key=encryption, authentication_key=authentication)


def test_a_daemon_killed_while_it_changes_keys_never_loses_the_meter(play: Play) -> None:
    dice = random.Random(11)

    async def scenario(stage: Stage) -> None:
        meter = stage.fleet.meters[0]
        text = stage.config.read_text().replace("socket: dcu.sock", "socket: dcu.sock, allow: [viewer, secadm]")
        stage.config.write_text(text + "new_keys: new.yaml\n")
        for number in range(KILLS):
            old, new = meter.keys, offer(stage, number)
            await stage.daemon.start()
            async with asyncio.TaskGroup() as group:
                group.create_task(_asked(stage))
                await asyncio.sleep(dice.uniform(0.05, 0.9))
                await stage.daemon.kill()
            assert meter.keys in {old, new}
            await stage.daemon.start()
            assert (await stage.daemon.ask("meter.read", **TARGET))["state"] == "done"
            told = (await stage.daemon.ask("dcu.keys", args={"meter": "M0001"}))["result"]
            assert told["coming"] is None
            answer = await stage.daemon.ask("meter.change-keys", **TARGET)
            assert answer["state"] == "done", answer["error"]
            assert meter.keys == new
            assert answer["result"]["M0001"]["coming"] is None
            assert (await stage.daemon.status())["keys"] == {"changed": 1, "coming": 0, "sealed": 0}
            await stage.daemon.stop()
        assert (stage.directory / "data" / "store.key").stat().st_mode & 0o777 == 0o600
        assert not any(secret.hex() in stage.daemon.said() for secret in (new.encryption_key, new.master_key))

    play(scenario, Setting(FleetPlan(meters=1, buses=1, hls=256), TIMETABLE))


async def _asked(stage: Stage) -> None:
    with suppress(OSError, ValueError):  # the daemon is killed over it
        await stage.daemon.ask("meter.change-keys", **TARGET)
