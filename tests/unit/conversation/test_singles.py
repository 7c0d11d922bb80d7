"""What meters do not treat within a list: remembered by meter, for a day, and never without a bound."""

from dcu.conversation.singles import BELIEVED, MAX_REFUSED, Singles
from dcu.dlms.services import OTHER_REASON, UnservedError, Variable
from tests.items import ENERGY, REGISTERS, UNKNOWN

UNSERVED = UnservedError(OTHER_REASON, "refused")


def test_who_is_not_served_alone_was_the_reason() -> None:
    singles = Singles()
    singles.learned("m", [ENERGY, UNKNOWN], [5, UNSERVED], 10.0)
    assert singles.alone("m", UNKNOWN, 11.0)
    assert not singles.alone("m", ENERGY, 11.0)
    assert not singles.alone("n", UNKNOWN, 11.0)


def test_when_each_is_served_alone_it_was_the_list() -> None:
    singles = Singles()
    singles.learned("m", [ENERGY, Variable(8)], [5, 6], 10.0)
    assert singles.alone("m", REGISTERS[3], 9.0 + BELIEVED)
    assert not singles.alone("m", REGISTERS[3], 10.0 + BELIEVED)
    assert not singles.alone("n", ENERGY, 11.0)


def test_the_oldest_gives_way() -> None:
    singles = Singles()
    for number in range(MAX_REFUSED + 1):
        singles.learned("m", [Variable(number)], [UNSERVED], float(number))
    assert not singles.alone("m", Variable(0), 1.0 + MAX_REFUSED)
    assert singles.alone("m", Variable(1), 1.0 + MAX_REFUSED)
