"""Agreed keys: the Green Book's examples octet by octet, both parties alike, and whatever is not from the other."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dcu.dlms.agreement import Agreement
from dcu.dlms.curves import CURVES
from dcu.dlms.general_ciphering import AgreedKey, GeneralHeader, Scheme
from dcu.dlms.signature import EllipticSignature
from dcu.errors import Breach, ConfigError, SecurityError
from dcu.model import CURVE_OCTETS, KEY_OCTETS, Keys

from .signing import both_keys

CLIENT, SERVER = bytes.fromhex("4D4D4D0000BC614E"), bytes.fromhex("4D4D4D0000000001")
REQUEST = GeneralHeader(bytes(range(1, 9)), CLIENT, SERVER)
ANSWER = GeneralHeader(bytes(range(1, 9)), SERVER, CLIENT)
SUITES = sorted(CURVE_OCTETS)

# --- DLMS UA 1000-2, annex C, test vectors for key agreement, suite 1: an access-request in general-ciphering. ---

CLIENT_KEYS = Keys(
    signing_key=bytes.fromhex("418073C239FA6125011DE4D6CD2E645780289F761BB21BFB0835CB5585E8B373"),
    verifying_key=bytes.fromhex(
        "933ACF15B03A9248E029B2787FB52A0AECAF635F07C42A0019FB3197E38F8F54"
        "9A125EA36781B0CA96BE89A0E1FE2CF9B7361ED48B3C5E24592B9C0F4EDD31D1"
    ),
    agreement_key=bytes.fromhex("A51C16FF5C498FCC89323D4A9267CD71BF81FD6F6A891CD240DA7F3D6F283E65"),
    meter_agreement_key=bytes.fromhex(
        "A653565B0E06070BAE9FBE140A5D2156812AEE2DD525053E3EFC850BF13BFDFF"
        "CB240BC7B77BFF5883344E7275908D2287BEFA3725017295A096989D2338290B"
    ),
)
SERVER_KEYS = Keys(
    signing_key=bytes.fromhex("AE55414FFE079F9FC95649536BD1C2B5653D200813727E07D501A8B550C69207"),
    verifying_key=bytes.fromhex(
        "BAAFFDE06A8CB1C9DAE8D94023C601DBBB249254BA22EDD827E820BCA2BCC643"
        "62FBB83D86A82B87BB8B7161D2AAB5521911A946B97A284A90F7785CD9047D25"
    ),
    agreement_key=bytes.fromhex("AAD3FD0732E991CF52A74C66C1F2827DDC53522A2E0A169D7C4FFCC0FB5D6A4D"),
    meter_agreement_key=bytes.fromhex(
        "07C56DE2DCAF0FD793EF29F019C89B4A0CC1E001CE94F4FFBE10BC05E7E66F76"
        "71A13FBCF9E662B9826FFF6A6938546D524ED6D3405F020296BDE16B04F7A7C2"
    ),
)
EPHEMERAL = bytes.fromhex("47DAB03842E5B6E74828EF4F449B378D7DD1A5DAE1FFCA5AE0B0BE0AD18EC57E")
FROM_CLIENT = bytes.fromhex(
    "C323C2BD45711DE4688637D919F92E9DB8FB2DFC213A88D21C9DC8DCBA917D81"
    "70511DE1BADB360D50058F794B0960AE11FA28D392CFF907A62D13E3357B1DC0"
    "B51BE089D0B682863B2217201E73A1A9031968A9B4121DCBC3281A69739AF874"
    "29F5B3AC5471E7B6A04A2C0F2F8A25FD772A317DF97FC5463FEAC248EB8AB8BE"
)
FROM_SERVER = bytes.fromhex(
    "6439724714B47CD9CB988897D8424AB946DCD083D37A954637616011B9C23787"
    "73295F0F850D8DAFD1BBE9FE666E53E4F097CD10B38B69622152724A90987444"
    "E1FF47974A1F6931A6502F58147463F0E8CC517D47F55B0AC56DD8AC5C9D0E48"
    "1934F2D90F9893016BD82B6E3FFE21FF1588F3278B4E9D98EB4FB62ADD64B380"
)
PLAIN = bytes.fromhex("D94000000000040100010000600100FF020100080000010000FF0202001400000D0000FF0702")


def test_one_pass_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Table C.2: the ephemeral key, the encryption key, and the beginning of the text under it."""
    private = CURVES[1].private(EPHEMERAL)
    monkeypatch.setattr(ec, "generate_private_key", lambda _: private)
    key, info = Agreement(Scheme.ONE_PASS, 1, CLIENT_KEYS).originate(REQUEST)
    assert (info.scheme, info.exchanged[:64]) == (Scheme.ONE_PASS, FROM_CLIENT[:64])
    assert key == bytes.fromhex("59A71FD81C929A86A99438DA17A66C05")
    sealed = AESGCM(key).encrypt(CLIENT + bytes(4), PLAIN, b"")
    assert sealed.startswith(bytes.fromhex("F435069679270C5BF4425EE5777402A6C8D51C620EED52DBB188378B836E2857"))


def test_one_pass_as_the_server_follows_it() -> None:
    """Table C.2: the signature is the client's, and the same key comes of it."""
    key = Agreement(Scheme.ONE_PASS, 1, SERVER_KEYS).follow(REQUEST, FROM_CLIENT)
    assert key == bytes.fromhex("59A71FD81C929A86A99438DA17A66C05")


def test_one_pass_of_the_server() -> None:
    """Table C.2: the access-response, of which the server is party U."""
    key = Agreement(Scheme.ONE_PASS, 1, CLIENT_KEYS).follow(ANSWER, FROM_SERVER)
    assert key == bytes.fromhex("F0184BDA9466BFA4601A64A7EF46504A")


def test_static() -> None:
    """The table after it, for the static unified model: the same request; nothing is exchanged but the transaction."""
    key, info = Agreement(Scheme.STATIC, 1, CLIENT_KEYS).originate(REQUEST)
    assert info == AgreedKey(Scheme.STATIC, b"")
    assert key == bytes.fromhex("56C46B57DF675515C31025455822514A")
    assert Agreement(Scheme.STATIC, 1, SERVER_KEYS).follow(REQUEST, b"") == key
    sealed = AESGCM(key).encrypt(CLIENT + bytes(4), PLAIN, b"")
    assert sealed.startswith(bytes.fromhex("607581D83815281B561904E6A72B83BF3FB0B1F2A0A23A82A804B39911F6CB1B"))


# --- Both suites, both schemes. ---


def pair(scheme: Scheme, suite: int) -> tuple[Agreement, Agreement]:
    ours, theirs = both_keys(suite)
    return Agreement(scheme, suite, ours), Agreement(scheme, suite, theirs)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("scheme", Scheme)
def test_both_parties_come_to_one_key(scheme: Scheme, suite: int) -> None:
    ours, theirs = pair(scheme, suite)
    key, info = ours.originate(REQUEST)
    assert len(key) == KEY_OCTETS[suite]
    assert theirs.follow(REQUEST, info.exchanged) == key
    back, told = theirs.originate(ANSWER)
    assert ours.follow(ANSWER, told.exchanged) == back
    assert back != key


@pytest.mark.parametrize("scheme", Scheme)
def test_each_apdu_has_a_key_of_its_own(scheme: Scheme) -> None:
    ours, _ = pair(scheme, 1)
    headers = [replace(REQUEST, transaction=bytes((number,))) for number in range(5)]
    assert len({ours.originate(header)[0] for header in headers}) == 5


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("change", [{"originator": b"DCU00009"}, {"recipient": b"MTR00009"}])
def test_a_key_is_between_two_parties(scheme: Scheme, change: dict[str, Any]) -> None:
    ours, theirs = pair(scheme, 1)
    key, info = ours.originate(REQUEST)
    assert theirs.follow(replace(REQUEST, **change), info.exchanged) != key


@pytest.mark.parametrize("suite", SUITES)
def test_every_flipped_bit_of_an_ephemeral_key_is_refused(suite: int) -> None:
    ours, theirs = pair(Scheme.ONE_PASS, suite)
    exchanged = theirs.originate(ANSWER)[1].exchanged
    for bit in range(0, len(exchanged) * 8, 7):
        damaged = bytearray(exchanged)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SecurityError) as refused:
            ours.follow(ANSWER, bytes(damaged))
        assert refused.value.breach is Breach.KEY


@pytest.mark.parametrize("suite", SUITES)
def test_an_ephemeral_key_of_another_size(suite: int) -> None:
    ours, theirs = pair(Scheme.ONE_PASS, suite)
    exchanged = theirs.originate(ANSWER)[1].exchanged
    for wrong in (b"", exchanged[:-1], exchanged + b"\0", exchanged[: len(exchanged) // 2]):
        with pytest.raises(SecurityError) as refused:
            ours.follow(ANSWER, wrong)
        assert refused.value.breach is Breach.LENGTH


def test_an_ephemeral_key_that_comes_back() -> None:
    ours, _ = pair(Scheme.ONE_PASS, 1)
    with pytest.raises(SecurityError, match="not signed by the other"):
        ours.follow(ANSWER, ours.originate(REQUEST)[1].exchanged)


@pytest.mark.parametrize("suite", SUITES)
def test_a_point_beside_the_curve_is_refused_though_it_is_signed(suite: int) -> None:
    """Of such points an attacker who had the signing key could learn our private one."""
    ours, _ = pair(Scheme.ONE_PASS, suite)
    point = (1).to_bytes(CURVE_OCTETS[suite]) * 2
    signed = EllipticSignature(suite, both_keys(suite)[1]).sign(point)
    with pytest.raises(SecurityError, match="or is none"):
        ours.follow(ANSWER, point + signed)


def test_nothing_is_exchanged_beside_static_keys() -> None:
    ours, _ = pair(Scheme.STATIC, 1)
    with pytest.raises(SecurityError, match="128 octets beside") as refused:
        ours.follow(ANSWER, FROM_SERVER)
    assert refused.value.breach is Breach.LENGTH


@pytest.mark.parametrize(
    ("suite", "scheme", "change", "why"),
    [
        (0, Scheme.STATIC, {}, "suite 1 or 2"),
        (2, Scheme.STATIC, {}, "an agreement key of 48 and a meter's agreement key of 96"),
        (1, Scheme.STATIC, {"agreement_key": b""}, "an agreement key of 32"),
        (1, Scheme.STATIC, {"meter_agreement_key": bytes(64)}, "on secp256r1"),
        (1, Scheme.ONE_PASS, {"agreement_key": b""}, "an agreement key of 32"),
        (1, Scheme.ONE_PASS, {"signing_key": b""}, "a signing key of 32"),
    ],
)
def test_keys_that_are_none(suite: int, scheme: Scheme, change: dict[str, bytes], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Agreement(scheme, suite, replace(both_keys(1)[0], **change))
