"""Whether an association stays open after a visit, decided from what is known and nothing else.

Who holds the associations, and what happens to one that proves stale, is in `dcu.conversation.held`.

Kept, it costs nothing while it rests and saves the next visit the association and the release: three turns and some
220 octets under LLS, 0.29 s at 9600 Bd. Stale, it costs a turn where the meter says so, and a time-out (2 s) where it
is silent. So it pays only where the meter is all but certain to know it still, which is a matter of time:

  the next visit                 | the association
  -------------------------------|----------------
  none is known to come          | closed
  comes later than it may rest   | closed
  comes within that time         | kept

How long it may rest is `keep_open` of its bus (0: never any), which has to be less than the inactivity time-out of the
meters (120 s unless set otherwise: IEC 62056-6-2, IEC HDLC setup, attribute 8), halved for each time in a row that this
meter was found to have given it up before.
"""


def rests(keep_open: float, stale: int) -> float:
    """Return the seconds an association may rest when it was found stale `stale` times in a row."""
    # the exponent is bounded: 2 ** 1024 is no float
    return keep_open / 2.0 ** min(stale, 16)


def keeps(coming: float | None, keep_open: float, stale: int = 0) -> bool:
    """Whether it stays open for a visit that is expected in `coming` seconds; None: none is known to come."""
    return coming is not None and coming < rests(keep_open, stale)
