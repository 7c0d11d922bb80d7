"""A figure, its goal, and how it is printed. What is measured, and how, is in one module per benchmark."""

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """A metric's bound: met when the value is at most `limit`, or at least that where `least`.

    `moonshot` is what would be remarkable.
    """

    limit: float
    moonshot: float
    unit: str
    least: bool = False

    @property
    def sign(self) -> str:
        return "≥" if self.least else "≤"

    def met(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


#: Every metric by (bench, metric), with the names people compare across releases.
GOALS: dict[tuple[str, str], Goal] = {
    ("wire", "line_ratio"): Goal(1.10, 1.03, "ratio"),
    ("wire", "visit_reconnect"): Goal(1.62, 1.55, "ratio"),
    ("wire", "visit_open"): Goal(1.00, 0.95, "ratio"),
    ("wire", "rows_open"): Goal(0.60, 0.52, "ratio"),
    ("wire", "pacing"): Goal(1.05, 1.01, "ratio"),
    ("cpu", "visit_ms"): Goal(0.5, 0.15, "ms"),
    ("cpu", "decode_ms"): Goal(0.4, 0.25, "ms"),
    ("store", "write_bytes"): Goal(110, 40, "octets"),
    ("store", "days_per_gb"): Goal(200, 580, "days", least=True),
    ("memory", "rss_mb"): Goal(48, 38, "MB"),
    ("start", "seconds"): Goal(2.0, 1.0, "s"),
    ("latency", "p99_ms"): Goal(10.0, 5.0, "ms"),
    ("command", "p99_s"): Goal(5.0, 1.5, "s"),
    ("uplink", "bytes_ratio"): Goal(0.059, 0.025, "ratio"),
    ("fleet", "lost"): Goal(0, 0, "blocks"),
    ("fleet", "tries"): Goal(6, 3, "tries"),
    ("drain", "ratio"): Goal(1.2, 1.05, "ratio"),
    ("failover", "seconds"): Goal(5.0, 3.0, "s"),
    ("faults", "lost"): Goal(0, 0, "faults"),
    ("faults", "accepted"): Goal(0, 0, "faults"),
    ("faults", "hostile"): Goal(0, 0, "inputs"),
    ("recovery", "seconds"): Goal(10.0, 3.0, "s"),
    ("recovery", "start_seconds"): Goal(2.0, 1.0, "s"),
    ("recovery", "grown_mb"): Goal(2.0, 0.5, "MB"),
    ("success", "share"): Goal(0.995, 1.0, "share", least=True),
    ("success", "dead_budget"): Goal(1.0, 0.5, "share"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    bench: str
    metric: str
    value: float

    @property
    def goal(self) -> Goal:
        return GOALS[self.bench, self.metric]

    @property
    def met(self) -> bool:
        return self.goal.met(self.value)

    def line(self) -> str:
        """Return the one JSON object by which tools know the figure."""
        goal = self.goal
        found = {"bench": self.bench, "metric": self.metric, "value": round(self.value, 4), "goal": goal.limit}
        return json.dumps(found | {"unit": goal.unit, "met": self.met})


#: A benchmark: takes `quick`, prints its method and findings, returns its figures.
Benchmark = Callable[[bool], Sequence[Figure]]


def machine_noise() -> str:
    """Say how steady this machine is now: the spread of one fixed piece of work, in percent of its median."""
    times = [_one_piece() for _ in range(15)]
    middle = statistics.median(times)
    spread = (max(times) - min(times)) / middle * 100
    return f"noise of this machine: a fixed piece of work took {middle * 1000:.1f} ms, spread {spread:.0f} %"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below or at which `share` (0 to 1) of `values` lie; nothing is interpolated."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _one_piece() -> float:
    start = time.perf_counter()
    sum(number * number for number in range(100_000))
    return time.perf_counter() - start


def table(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield lines for people: value, goal, moonshot, verdict."""
    for figure in figures:
        goal = figure.goal
        verdict = "met" if figure.met else "MISSED"
        yield (
            f"  {figure.bench:8} {figure.metric:16} {figure.value:9.3f} {goal.unit:6}"
            f" goal {goal.sign} {goal.limit:g}, moonshot {goal.sign} {goal.moonshot:g}: {verdict}"
        )
