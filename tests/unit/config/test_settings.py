"""The settings themselves: what they derive, and what they do not show."""

from dcu.config import BusConfig, UplinkSettings


def test_a_bus_is_a_device_or_on_the_network() -> None:
    assert not BusConfig("b", "/dev/ttyS1").on_network
    assert BusConfig("b", "tcp://10.0.0.7:4059").on_network


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(UplinkSettings("h", "c", password="hunter2"))
