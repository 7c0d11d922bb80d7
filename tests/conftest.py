"""What runs beside what when pytest has workers: the tests in real time follow one another on one, what is long begins.

Property tests have no deadline of their own, and the lines they reach do not count as covered.
"""

import os

import pytest
from coverage import Coverage
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

#: The tests that pace serial lines and start daemons; two at a time would disturb each other.
REAL_TIME = "tests/system/"

#: What takes long, the longest first: begun last, it would keep one worker busy while the others have ended. The
#: package's daemon is in a container of its own, and a virtual day needs no real time.
LONG = (
    "tests/system/test_package.py",
    "tests/system/test_virtual_day.py",
    "tests/property/test_fuzz_volume.py",
    "tests/property/test_fuzz_long.py",
    "tests/unit/plan/test_airtime.py",
    "tests/unit/polling/test_clocks.py",
    "tests/faults/test_store_damage.py",
    "tests/faults/test_store_power.py",
    "tests/faults/test_ledger.py",
)

#: What chance reaches is no proof that a line is tested; and to trace it takes three times as long.
BY_CHANCE = "tests/property/"

#: By how much a worker steps back that has nothing in real time to do: there are more workers than processors.
STEP_BACK = 5

# a machine under load is no failure of what is tested; whoever bounds a time says so in the test
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def _scope(nodeid: str) -> str:
    """Return what one worker takes as a whole: a file, or all that is in real time."""
    file = nodeid.partition("::")[0]
    return REAL_TIME if file.startswith(REAL_TIME) and file not in LONG else file


class RealTimeApart(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """A worker takes a whole file, and whoever takes the first test of REAL_TIME takes them all."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> RealTimeApart:
    return RealTimeApart(config, log)


def pytest_configure() -> None:
    """Let a worker trace once, by what a mark can pause: it began as the child of a traced process, and as a run."""
    while "PYTEST_XDIST_WORKER" in os.environ and (traced := Coverage.current()) is not None:
        traced.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests in real time, which take longest, and go on with what is long; trace no chance."""
    order = {scope: number for number, scope in enumerate((REAL_TIME, *LONG))}
    items.sort(key=lambda item: order.get(_scope(item.nodeid), len(order)))
    for item in items:
        if item.nodeid.startswith(BY_CHANCE):
            item.add_marker(pytest.mark.no_cover)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave the processors to the tests in real time, of which others are no part."""
    if "PYTEST_XDIST_WORKER" in os.environ and _scope(item.nodeid) != REAL_TIME:
        os.nice(max(0, STEP_BACK - os.nice(0)))
