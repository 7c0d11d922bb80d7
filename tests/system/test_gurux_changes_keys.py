"""The client of gurux-dlms gives a simulated meter new keys, and is let in under them afterwards, as ours would be."""

from dataclasses import replace
from typing import Any

import pytest
from gurux_dlms import GXDLMSException
from gurux_dlms.objects import GXDLMSClock, GXDLMSSecuritySetup
from gurux_dlms.objects.enums import GlobalKeyType

from tests.system.gurux_talk import KEYS, Gurux, hls, over_pty, simulated

MASTER = bytes(range(0x40, 0x50))
ENCRYPTION, AUTHENTICATION = b"E" * 16, b"A" * 16


async def test_keys_that_gurux_wraps_are_unwrapped_and_open_the_next_association() -> None:
    meter = simulated(keys=replace(KEYS, master_key=MASTER))

    def transfer(gurux: Gurux) -> None:
        pairs = [
            (GlobalKeyType.UNICAST_ENCRYPTION, bytearray(ENCRYPTION)),
            (GlobalKeyType.AUTHENTICATION, bytearray(AUTHENTICATION)),
        ]
        gurux.ask(GXDLMSSecuritySetup().globalKeyTransfer(gurux.client, bytearray(MASTER), pairs))

    def look(gurux: Gurux) -> None:
        assert gurux.read(GXDLMSClock(), 2) is not None

    await over_pty(meter, hls(meter), transfer)
    assert (meter.keys.encryption_key, meter.keys.authentication_key) == (ENCRYPTION, AUTHENTICATION)
    with pytest.raises(GXDLMSException, match="rejected"):
        await over_pty(meter, counting(hls(meter), 1000), look)
    client = counting(hls(meter), 2000)
    client.ciphering.blockCipherKey, client.ciphering.authenticationKey = ENCRYPTION, AUTHENTICATION
    await over_pty(meter, client, look)


def counting(client: Any, first: int) -> Any:
    """Return `client` with its counters beginning at `first`: those before were used."""
    client.ciphering.invocationCounter = first
    return client
