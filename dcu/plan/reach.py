"""How long a meter could be reached, from the history of its changes. Pure: who keeps that history is the store."""

from collections.abc import Sequence
from itertools import pairwise

from dcu.model import Reach


def available(changes: Sequence[tuple[float, Reach]], start: float, end: float) -> float:
    """Return the seconds from `start` to `end` in which a meter was reachable.

    `changes` are (UTC seconds, state from then on), the last one before `start` first. Before the first of them nothing
    is known, which counts as not reachable; so does the time between a failure and the success that follows.
    """
    spans = pairwise([*changes, (end, Reach.UNREACHABLE)])
    times = ((max(begun, start), min(over, end)) for (begun, state), (over, _) in spans if state is Reach.REACHABLE)
    return sum(max(0.0, over - begun) for begun, over in times)
