"""The judgement of archive lines as work for a process of its own: naming it loads nothing of what it needs.

How a line is judged is in `lines`, what goes in and comes out in `table`.
"""

from dcu.config.table import Judged, Standing, Table


def judge(table: Table, standing: Standing) -> Judged:
    """Return which lines of `table` may be added to what is `standing`, with their secrets."""
    from dcu.config import lines  # noqa: PLC0415 - what reads forms and secrets takes megabytes

    return lines.judge(table, standing)
