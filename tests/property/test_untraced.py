"""Chance is not traced: it takes three times as long then, in a worker as in a run without."""

import sys


def test_nothing_here_is_traced() -> None:
    assert sys.gettrace() is None
