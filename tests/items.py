"""What sessions are asked in tests."""

from dcu.dlms.moment import DateTime
from dcu.dlms.services import Get
from dcu.model import Attribute

REGISTERS = [Get(Attribute(3, name)) for name in (bytes((1, 0, group, 8, 0, 255)) for group in (1, 2, 3, 4))]
UNKNOWN = Get(Attribute(3, bytes(6)))
ENERGY = REGISTERS[0]


def moment(answer: bytes) -> int:
    """Return the UTC seconds of a meter's clock."""
    at = DateTime.from_bytes(answer).utc()
    assert at is not None
    return at
