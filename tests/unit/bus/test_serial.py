"""A tty: held by one alone, and let go of however its opening or closing goes. What all ports do: tests/contract."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import serial

from dcu.bus.serial import SerialPort
from dcu.errors import BusError


async def test_a_tty_is_held_by_one_alone() -> None:
    far, near = os.openpty()
    first, second = (SerialPort(os.ttyname(near), 9600) for _ in range(2))
    await first.open()
    with pytest.raises(BusError, match=r"cannot open: another process has it$"):
        await second.open()
    with pytest.raises(BusError, match=r"^/dev/none: cannot open: No such file or directory$"):
        await SerialPort("/dev/none", 9600).open()
    await first.close()
    await second.open()
    await second.close()
    os.close(near)
    os.close(far)


async def test_a_tty_can_be_had_again_as_soon_as_it_is_closed_however_busy_the_threads_are() -> None:
    far, near = os.openpty()
    ports = [SerialPort(os.ttyname(near), 9600) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)  # what it has to do is done in turn
        for port in ports * 25:
            await port.open()
            await port.write(b"x")
            await port.close()
    assert [port.octets_sent for port in ports] == [25, 25]
    os.close(near)
    os.close(far)


async def test_a_tty_whose_opening_was_given_up_is_closed_though_a_thread_still_opens_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far, near = os.openpty()
    begun, going_on, opened = Event(), Event(), []
    really = serial.serial_for_url

    def slowly(*args: Any, **named: Any) -> Any:
        begun.set()
        assert going_on.wait(30)
        opened.append(really(*args, **named))
        return opened[0]

    monkeypatch.setattr(serial, "serial_for_url", slowly)
    opening = asyncio.create_task(SerialPort(os.ttyname(near), 9600).open())
    await asyncio.to_thread(begun.wait)
    opening.cancel()
    asyncio.get_running_loop().call_soon(going_on.set)
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [each.is_open for each in opened] == [False]
    os.close(near)
    os.close(far)
