"""Work in a child process: its result, its faults, its death."""

import os
import signal

import pytest

from dcu.errors import ConfigError, DcuError
from dcu.host.apart import apart


def test_the_result_comes_back_and_the_process_was_another() -> None:
    child, numbers = apart(lambda: (os.getpid(), list(range(100_000))))
    assert child != os.getpid()
    assert numbers[-1] == 99_999


def faulty() -> None:
    raise ConfigError("one", "two")


def broken() -> None:
    raise RuntimeError("a bug")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_faults_come_back_one_by_one() -> None:
    with pytest.raises(ConfigError) as caught:
        apart(faulty)
    assert caught.value.problems == ("one", "two")


def test_a_bug_comes_back_with_its_traceback() -> None:
    with pytest.raises(DcuError, match=r"(?s)Traceback.*RuntimeError: a bug"):
        apart(broken)


def test_a_child_that_dies_is_noticed() -> None:
    with pytest.raises(DcuError, match="ended with wait status 9"):
        apart(killed)


def test_what_cannot_be_carried_over_is_a_bug() -> None:
    with pytest.raises(DcuError, match="lambda"):
        apart(lambda: lambda: None)
