"""The second view: gurux-dlms clients set up like ours, and what they would write in our place."""

from collections.abc import Iterable

from gurux_dlms import GXDLMSClient
from gurux_dlms.enums import Authentication, Conformance, InterfaceType, Security
from gurux_dlms.secure import GXDLMSSecureClient

from dcu.dlms.association import CONFORMANCE
from dcu.model import Keys

TITLE = b"DCU00001"
KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0xD0, 0xE0)))
CHALLENGE = b"0123456789abcdef"
SERVICES = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.EVENT_NOTIFICATION
    | Conformance.DATA_NOTIFICATION
    | Conformance.PRIORITY_MGMT_SUPPORTED
)
SHORT_SERVICES = (
    Conformance.READ
    | Conformance.WRITE
    | Conformance.PARAMETERIZED_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
)


def client(
    interface: InterfaceType = InterfaceType.PDU,
    authentication: Authentication = Authentication.NONE,
    number: int = 2,
    physical: int = 17,
    *,
    logical: bool = True,
) -> GXDLMSSecureClient:
    address = physical if interface == InterfaceType.WRAPPER else GXDLMSClient.getServerAddress(1, physical)
    password = KEYS.password.decode() if authentication == Authentication.LOW else None
    made = GXDLMSSecureClient(logical, number, address, authentication, password, interface)
    made.proposedConformance = made.negotiatedConformance = SERVICES if logical else SHORT_SERVICES
    made.maxReceivePDUSize = 0xFFFF
    return made


def ciphered(counter: int = 5) -> GXDLMSSecureClient:
    made = client(authentication=Authentication.HIGH_GMAC, number=1)
    made.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    made.ciphering.systemTitle = TITLE
    made.ciphering.blockCipherKey = KEYS.encryption_key
    made.ciphering.authenticationKey = KEYS.authentication_key
    made.ciphering.invocationCounter = counter
    made.ctoSChallenge = CHALLENGE
    return made


def written(messages: Iterable[bytes | list[bytes]]) -> list[bytes]:
    """The messages as bytes, however deep gurux nests them."""
    return [bytes(part) for message in messages for part in (message if isinstance(message, list) else [message])]


assert int(SERVICES).bit_count() == int(CONFORMANCE).bit_count()
