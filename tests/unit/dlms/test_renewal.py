"""New secrets as they travel: the published vectors of the wrapping, and what gurux-dlms makes of the same keys."""

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from gurux_dlms import GXDLMSClient
from gurux_dlms.enums import Authentication as GuruxAuthentication
from gurux_dlms.enums import InterfaceType
from gurux_dlms.objects import GXDLMSSecuritySetup
from gurux_dlms.objects.enums import GlobalKeyType

from dcu.dlms import axdr
from dcu.dlms.apdu import encode_request
from dcu.dlms.renewal import KeyId, change_password, transfer_keys
from dcu.dlms.services import Action, Set
from dcu.model import Attribute, Authentication

MASTER = bytes(range(16))
ENCRYPTION, AUTHENTICATION = bytes(range(32, 48)), bytes(range(64, 80))


@pytest.mark.parametrize(
    ("master", "key", "wrapped"),
    [  # RFC 3394, 4.1 and 4.6
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
        ),
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
    ],
)
def test_keys_are_wrapped_as_published(master: str, key: str, wrapped: str) -> None:
    action = transfer_keys({KeyId.UNICAST_ENCRYPTION: bytes.fromhex(key)}, bytes.fromhex(master))
    assert action.argument == axdr.array(axdr.structure(axdr.enum(0), axdr.octets(bytes.fromhex(wrapped))))


def test_gurux_says_the_same_octets_for_both_keys() -> None:
    client = GXDLMSClient(True, 1, 1, GuruxAuthentication.NONE, None, InterfaceType.PDU)
    setup = GXDLMSSecuritySetup()
    pairs = [
        (GlobalKeyType.UNICAST_ENCRYPTION, bytearray(ENCRYPTION)),
        (GlobalKeyType.AUTHENTICATION, bytearray(AUTHENTICATION)),
    ]
    [theirs] = setup.globalKeyTransfer(client, bytearray(MASTER), pairs)
    ours = transfer_keys({KeyId.UNICAST_ENCRYPTION: ENCRYPTION, KeyId.AUTHENTICATION: AUTHENTICATION}, MASTER)
    # service, type, then the invoke-id and priority octet, which is each side's own
    assert encode_request(ours, 1)[3:] == bytes(theirs)[3:]


def test_both_keys_travel_in_one_request_and_each_is_wrapped() -> None:
    action = transfer_keys({KeyId.UNICAST_ENCRYPTION: ENCRYPTION, KeyId.AUTHENTICATION: AUTHENTICATION}, MASTER)
    assert (action.class_id, action.name.hex("."), action.method) == (64, "00.00.2b.00.00.ff", 2)
    octets = encode_request(action, 1)
    assert aes_key_wrap(MASTER, ENCRYPTION) in octets
    assert aes_key_wrap(MASTER, AUTHENTICATION) in octets
    assert ENCRYPTION not in octets
    assert AUTHENTICATION not in octets


def test_a_key_that_cannot_be_wrapped_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="key"):
        transfer_keys({KeyId.AUTHENTICATION: AUTHENTICATION}, b"short")


def test_a_password_is_an_attribute_and_an_hls_secret_a_method() -> None:
    association = bytes((0, 0, 40, 0, 0, 255))
    assert change_password(b"new", Authentication.LLS) == Set(Attribute(15, association, 7), axdr.octets(b"new"))
    assert change_password(b"new", Authentication.HLS_SHA256) == Action(15, association, 2, axdr.octets(b"new"))
