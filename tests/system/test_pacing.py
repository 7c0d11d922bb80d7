"""What is shown in virtual time holds in the world: one line, the same sweep in both."""

from pathlib import Path

import pytest

from bench.pacing import paces

METERS = 4

#: What a machine under load may change: a question asked again because an answer seemed to have ended.
TOLERANCE = 0.03


def test_a_line_in_virtual_time_is_neither_faster_than_its_octets_nor_slower_than_a_pty(tmp_path: Path) -> None:
    virtual, real = paces(tmp_path, METERS)
    assert len(real.visits) == len(virtual.visits) == METERS
    assert real.octets == pytest.approx(virtual.octets, rel=TOLERANCE)
    assert real.line == pytest.approx(virtual.line, rel=TOLERANCE)
    # no visit is faster than its line, and a pty on a busy machine can only be slower than virtual time says
    assert virtual.line < virtual.taken < real.taken * (1 + TOLERANCE)
    # the silence before the first question, and no more, is neither octets nor a meter's turnaround
    assert virtual.taken < virtual.line + 0.3
