"""What is known of each meter: its line, its profile, the shapes it was learned to have, how far it is read.

Which meters come and go is decided in `dcu.enrolling`, when one is visited in `dcu.plan`.
"""

from dcu.archive.archive import IDENTITY, MOMENTARY, Archive, Kept
from dcu.archive.explored import EXPLORED

__all__ = ["EXPLORED", "IDENTITY", "MOMENTARY", "Archive", "Kept"]
