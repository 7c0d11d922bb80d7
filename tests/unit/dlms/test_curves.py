"""The curves: a number, its point, and what is on no curve."""

import pytest

from dcu.dlms.curves import CURVES
from dcu.model import CURVE_OCTETS

#: RFC 6979, A.2.5 and A.2.6: the private key of the examples and the point that belongs to it.
POINTS = {
    1: (
        "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
        (
            "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
            "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
        ),
    ),
    2: (
        "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
        (
            "EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064A254515480BC13"
            "8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE7344FD2533264720"
        ),
    ),
}


@pytest.mark.parametrize("suite", sorted(CURVE_OCTETS))
def test_a_number_and_its_point(suite: int) -> None:
    number, point = map(bytes.fromhex, POINTS[suite])
    curve = CURVES[suite]
    assert curve.point(curve.private(number).public_key()) == point
    assert curve.point(curve.public(point)) == point


@pytest.mark.parametrize("suite", sorted(CURVE_OCTETS))
def test_what_is_on_no_curve(suite: int) -> None:
    curve = CURVES[suite]
    for point in (
        b"",
        bytes(2 * curve.size),
        bytes(2 * curve.size - 1),
        bytes.fromhex(POINTS[suite][1])[:-1] + b"\x21",
    ):
        with pytest.raises(ValueError, match=r"[Uu]nsupported|[Ii]nvalid|point"):
            curve.public(point)
    with pytest.raises(ValueError, match="private"):
        curve.private(bytes(curve.size))
