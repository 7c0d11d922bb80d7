"""Published examples of the algorithms of security suites 1 and 2, through the code that uses them.

What the Green Book prints of APDUs is in `test_published_vectors`, of agreed keys in `test_agreement`. No example of
the concatenation KDF with SHA-384 was found in print.
"""

from base64 import urlsafe_b64decode
from itertools import product

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from dcu.dlms import agreement
from dcu.dlms.agreement import Agreement
from dcu.dlms.curves import CURVES
from dcu.dlms.general_ciphering import GeneralHeader, Scheme
from dcu.dlms.security import TAG_SIZE, Cipher, _Key
from dcu.dlms.signature import EllipticSignature
from dcu.errors import SecurityError
from dcu.model import Ciphering, Keys

from .test_curves import POINTS

# McGrew and Viega, The Galois/Counter Mode of Operation (whose standard is NIST SP 800-38D), appendix B, test cases 4
# (AES-128) and 16 (AES-256): key, ciphertext and tag; nonce, plaintext and what is authenticated are the same.
HALF = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
WITH = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
GCM = {
    1: (
        HALF,
        bytes.fromhex(
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        ),
        bytes.fromhex("5bc94fbc3221a5db94fae95ae7121a47"),
    ),
    2: (
        HALF * 2,
        bytes.fromhex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        ),
        bytes.fromhex("76fc6ece0f4e1768cddf8853bb2d551b"),
    ),
}


@pytest.mark.parametrize("suite", GCM)
def test_gcm_encrypts(suite: int) -> None:
    """The nonce is a system title and an invocation counter."""
    key, ciphertext, _ = GCM[suite]
    cipher = Cipher(Keys(b"", key, key), NONCE[:8], lambda: int.from_bytes(NONCE[8:]), suite=suite)
    sealed = cipher.protect(PLAIN, Ciphering.GENERAL_GLO)
    assert sealed[-TAG_SIZE - len(PLAIN) : -TAG_SIZE] == ciphertext
    reader = Cipher(Keys(b"", key, key), b"MTR00001", lambda: 1, suite=suite)
    reader.peer = NONCE[:8]
    assert reader.unprotect(sealed) == PLAIN


@pytest.mark.parametrize("suite", GCM)
def test_gcm_authenticates(suite: int) -> None:
    """What DLMS authenticates begins with the security control, so no example of another origin fits an APDU."""
    key, ciphertext, tag = GCM[suite]
    assert _Key(key).aead.encrypt(NONCE, PLAIN, WITH) == ciphertext + tag


# RFC 6979, A.2.5 (P-256, SHA-256) and A.2.6 (P-384, SHA-384): r and s of two messages; the keys are in `test_curves`.
SIGNATURES = {
    (1, b"sample"): (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    ),
    (1, b"test"): (
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    ),
    (2, b"sample"): (
        "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
        "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
    ),
    (2, b"test"): (
        "8203B63D3C853E8D77227FB377BCF7B7B772E97892A80F36AB775D509D7A5FEB0542A7F0812998DA8F1DD3CA3CF023DB",
        "DDD0760448D42D8A43AF45AF836FCE4DE8BE06B485E9B61B827C2F13173923E06A739F040649A667BF3B828246BAA5A5",
    ),
}


def signer(suite: int) -> EllipticSignature:
    private, public = map(bytes.fromhex, POINTS[suite])
    return EllipticSignature(suite, Keys(signing_key=private, verifying_key=public))


@pytest.mark.parametrize(("suite", "message"), SIGNATURES)
def test_ecdsa_takes_the_published_signatures(suite: int, message: bytes) -> None:
    proof = bytes.fromhex("".join(SIGNATURES[suite, message]))
    signer(suite).verify(proof, message)
    (other,) = {b"sample", b"test"} - {message}
    for wrong, of in ((proof, other), (proof[:-1] + bytes((proof[-1] ^ 1,)), message)):
        with pytest.raises(SecurityError, match="wrong answer"):
            signer(suite).verify(wrong, of)


def takes(suite: int, signature: bytes, message: bytes) -> bool:
    """Return whether the published public key, without anything of ours, takes a signature of r and s side by side."""
    curve, algorithm = (ec.SECP256R1(), SHA256()) if suite == 1 else (ec.SECP384R1(), SHA384())
    half = len(signature) // 2
    numbers = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + bytes.fromhex(POINTS[suite][1]))
    try:
        key.verify(numbers, message, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(("suite", "message"), list(product((1, 2), (b"sample", b"test"))))
def test_ecdsa_signs_with_the_published_key(suite: int, message: bytes) -> None:
    signed = signer(suite).sign(message)
    assert takes(suite, signed, message)
    assert not takes(suite, signed, message + b"!")


# NIST CAVP, CAVS 14.1, "ECC CDH Primitive (SP800-56A Section 5.7.1.2)", COUNT = 0: dIUT, QIUT, QCAVS and ZIUT.
CDH = {
    1: (
        "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534",
        (
            "ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230",
            "28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141",
        ),
        (
            "700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287",
            "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
        ),
        "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b",
    ),
    2: (
        "3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774ad463b205da88cf699ab4d43c9cf98a1",
        (
            "9803807f2f6d2fd966cdd0290bd410c0190352fbec7ff6247de1302df86f25d34fe4a97bef60cff548355c015dbb3e5f",
            "ba26ca69ec2f5b5d9dad20cc9da711383a9dbe34ea3fa5a2af75b46502629ad54dd8b7d73a8abb06a3a3be47d650cc99",
        ),
        (
            "a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272734466b400091adbf2d68c58e0c50066",
            "ac68f19f2e1cb879aed43a9969b91a0839c4c38a49749b661efedf243451915ed0905a32b060992b468c64766fc8437a",
        ),
        "5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457e5621e766c40a2e3d4d6a04b25e533f1",
    ),
}


@pytest.mark.parametrize("suite", CDH)
def test_diffie_hellman(suite: int) -> None:
    number, point, theirs, shared = (bytes.fromhex("".join(each)) for each in CDH[suite])
    curve = CURVES[suite]
    private = curve.private(number)
    assert curve.point(private.public_key()) == point
    assert private.exchange(ec.ECDH(), curve.public(theirs)) == shared


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_key_derived_from_what_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7518, appendix C: the concatenation KDF of SP 800-56A over P-256, with its own words for the parties."""
    monkeypatch.setattr(agreement, "ALGORITHM_IDS", {1: b"\0\0\0\x07A128GCM"})
    alice = CURVES[1].private(_octets("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"))
    monkeypatch.setattr(ec, "generate_private_key", lambda _: alice)
    private, public = map(bytes.fromhex, POINTS[1])
    bob = _octets("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ") + _octets(
        "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"
    )
    keys = Keys(signing_key=private, verifying_key=public, agreement_key=private, meter_agreement_key=bob)
    header = GeneralHeader(b"", b"\0\0\0\x05Alice", b"\0\0\0\x03Bob\0\0\0\x80")
    key, _ = Agreement(Scheme.ONE_PASS, 1, keys).originate(header)
    assert key == _octets("VqqN6vgjbSBcIijNcacQGg")
