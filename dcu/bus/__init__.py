"""The meter side of the box: one port per bus. What is said over it is `dcu.conversation`'s business."""

from dcu.bus.port import Port
from dcu.bus.serial import SerialPort
from dcu.bus.tcp import TcpPort
from dcu.config import BusConfig

__all__ = ["Port", "SerialPort", "TcpPort", "make_port"]


def make_port(bus: BusConfig) -> Port:
    """Return the (closed) port that the `port:` of a bus names: a device path, or tcp://host:port."""
    if bus.port.startswith("tcp://"):
        return TcpPort(bus.port)
    return SerialPort(bus.port, bus.baud)
