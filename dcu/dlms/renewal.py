"""Requests that give a meter new secrets: keys wrapped under its master key, passwords and HLS secrets as they are.

Which secrets the meter has is `dcu.conversation.keychange`'s business; when they may be sent is `dcu.polling.rekey`'s.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from dcu.dlms import axdr
from dcu.dlms.services import Action, Set
from dcu.model import Attribute, Authentication

SECURITY_SETUP: Final = (64, b"\x00\x00\x2b\x00\x00\xff")
KEY_TRANSFER: Final = 2
ASSOCIATION: Final = (15, b"\x00\x00\x28\x00\x00\xff")
SECRET: Final = 7
CHANGE_HLS_SECRET: Final = 2


class KeyId(IntEnum):
    """Which global key is transferred (IEC 62056-6-2, class 64, key_transfer)."""

    UNICAST_ENCRYPTION = 0
    BROADCAST_ENCRYPTION = 1
    AUTHENTICATION = 2
    MASTER = 3


def transfer_keys(keys: Mapping[KeyId, bytes], master: bytes) -> Action:
    """Return the key_transfer of `keys`, all in one request, each wrapped under `master` (RFC 3394).

    Keys have 16 or 32 octets, as has the master key; ValueError otherwise.
    """
    wrapped = (
        axdr.structure(axdr.enum(key_id), axdr.octets(aes_key_wrap(master, key))) for key_id, key in keys.items()
    )
    return Action(*SECURITY_SETUP, KEY_TRANSFER, axdr.array(*wrapped))


def change_password(password: bytes, authentication: Authentication) -> Set | Action:
    """Return what changes the password of LLS, or the secret of HLS, in the association that carries it.

    It travels as it is, so its protection is that of the association (IEC 62056-6-2, class 15: secret,
    change_HLS_secret).
    """
    if authentication is Authentication.LLS:
        return Set(Attribute(*ASSOCIATION, SECRET), axdr.octets(password))
    return Action(*ASSOCIATION, CHANGE_HLS_SECRET, axdr.octets(password))
