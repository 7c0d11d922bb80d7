"""What a daemon says of its own collecting, held against the truth: its ledger, its gaps, its list of meters.

Whether what arrived is right is `sim.account`'s question; who was silent, and how long, is known here from whoever
silenced them.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from bench.collecting import Collecting
from dcu.model import Reason
from dcu.profiles import load_profile
from sim.fleet import PROFILE
from sim.truth import expected_times

DAY = 86_400

#: Minutes by which availability may differ from the truth: a meter is met within a quarter of an hour, and probed as
#: often when it was silent.
MEETING = 16


async def contradictions(
    site: Collecting, stream: str, silent: Collection[str], spells: Mapping[str, float]
) -> list[str]:
    """Return, in words, where the daemon's books differ from the truth since it began.

    All meters have the profile of `stream`, and at least one interval of it is over. `silent` have not said a word
    since then; `spells` gives the seconds for which those were silent that have come back.
    """
    status = await site.ask("dcu.status")
    until = int(status["success"][stream]["until"])
    return [
        *await _ledger(site, stream, silent, until),
        *await _gaps(site, stream, silent, until),
        *await _meters(site, silent, spells),
    ]


async def _ledger(site: Collecting, stream: str, silent: Collection[str], until: int) -> list[str]:
    name, since = load_profile(PROFILE).streams[stream].name, int(site.began)
    made = {meter.id: len(expected_times(meter, name, since, until)) for meter in site.fleet.meters}
    unread = sum(made[meter] for meter in silent)
    true = {"expected": sum(made.values()), "read": sum(made.values()) - unread, "open": unread, "missing": {}}
    told = (await site.ask("dcu.ledger", stream=stream, since=since))["streams"][stream]
    return [f"{word} of {stream}: {told[word]}, truly {value}" for word, value in true.items() if told[word] != value]


async def _gaps(site: Collecting, stream: str, silent: Collection[str], until: int) -> list[str]:
    gaps = [gap async for gap in _pages(site, "dcu.gaps", "gaps", "more", stream=stream, since=int(site.began))]
    wrong = [
        f"gap that is none: {gap}"
        for gap in gaps
        if gap["meter"] not in silent or gap["reason"] != Reason.UNREACHABLE.value or _seconds(gap["to"]) != until
    ]
    return [*wrong, *(f"{meter}: no gap" for meter in {*silent} - {gap["meter"] for gap in gaps})]


async def _meters(site: Collecting, silent: Collection[str], spells: Mapping[str, float]) -> list[str]:
    lines = [line async for line in _pages(site, "dcu.meters", "meters", "next")]
    assert {line["id"] for line in lines} == {meter.id for meter in site.fleet.meters}
    elapsed = site.clock.now() - site.began
    return [
        said
        for line in lines
        for said in _reach(line, elapsed if line["id"] in silent else spells.get(line["id"], 0.0), elapsed)
    ]


def _reach(line: Mapping[str, Any], silence: float, elapsed: float) -> Iterator[str]:
    """Yield what is wrong with the line of a meter that was silent for `silence` of `elapsed` seconds."""
    gone = silence == elapsed
    if line["state"] != ("unreachable" if gone else "reachable"):
        yield f"{line['id']}: {line['state']} after {silence:.0f} s of silence"
    if (line["last_reading"] is None) is not gone:
        yield f"{line['id']}: last read {line['last_reading']}"
    minutes = sum(line["available"].values())
    if abs(minutes - (elapsed - silence) / 60) > MEETING:
        yield f"{line['id']}: available for {minutes} minutes, truly {(elapsed - silence) / 60:.0f}"


async def _pages(site: Collecting, command: str, what: str, more: str, **args: object) -> Any:
    """Yield the lines of an answer that comes in pages; `more` names the place where the next one begins."""
    after = ""
    while True:
        answer = await site.ask(command, **args, **({"after": after} if after else {}))
        for line in answer[what]:
            yield line
        if not (after := answer[more]):
            return


def _seconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp())
