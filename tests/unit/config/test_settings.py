"""The settings themselves: what they derive, and what they do not show."""

from dcu.config import BusConfig, ChannelSettings, UplinkSettings


def test_a_bus_is_a_device_or_on_the_network() -> None:
    assert not BusConfig("b", "/dev/ttyS1").on_network
    assert BusConfig("b", "tcp://10.0.0.7:4059").on_network


def test_two_channels_to_one_broker_are_not_several_brokers() -> None:
    channels = ChannelSettings("eth"), ChannelSettings("gprs", (("h", None),))
    assert not UplinkSettings("h", "c").several
    assert not UplinkSettings("h", "c", channels=channels).several
    assert UplinkSettings("h", "c", channels=(*channels, ChannelSettings("far", (("i", None),)))).several


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(UplinkSettings("h", "c", password="hunter2"))
