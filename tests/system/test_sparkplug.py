"""A whole daemon configured to speak Sparkplug, its meters, a real broker, and a host that judges by the rules."""

import asyncio

from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable
from tests.sparkplug_listening import GROUP, PRIMARY, listening
from tests.system.playing import Play

ROWS = 8
WAITS = "uplink: the primary host scada is not online"
TIMETABLE: Timetable = {"load0": (900, ROWS * 900)}
UPLINK = {"sparkplug": {"group": GROUP, "host": PRIMARY}}


def test_every_row_of_every_meter_is_told_once_its_primary_host_is_there(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        async with listening(stage.broker) as heard:
            await stage.daemon.start()
            await stage.head.until(lambda: stage.head.tally.health is not None)
            async with asyncio.timeout(60):
                while WAITS not in (await stage.daemon.status())["problems"]:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.1)
            assert heard.births == 0
            await heard.say(1, online=True)
            await stage.settled()
            assert await stage.daemon.stop() == 0
            await heard.until(deaths=1)
        assert heard.host is not None
        meters = {meter.id for meter in stage.fleet.meters}
        assert set(heard.host.known) == {"", *meters}
        for meter in meters:
            told = [
                tags for (device, name), tags in heard.host.told.items() if (device, name[-7:]) == (meter, "/status")
            ]
            assert [len({at for at, _, _ in tags}) for tags in told] in ([ROWS], [ROWS + 1]), meter

    play(scenario, Setting(FleetPlan(meters=2, buses=1), TIMETABLE, uplink=UPLINK))
