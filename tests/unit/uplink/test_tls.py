import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dcu.config import TlsSettings, UplinkSettings
from dcu.errors import UplinkError
from dcu.uplink import Outgoing, Uplink
from dcu.uplink.tls import tls_context
from tests.certificates import Authority
from tests.scripted_broker import ACCEPTED_5, CONNECT, PUBLISH, ScriptedBroker, puback

WILL = Outgoing("s", b"will")


def self_signed(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that is its own authority; return the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(mode=0o600)
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def answer(first: int, body: bytes) -> bytes | None:
    return {CONNECT: ACCEPTED_5, PUBLISH: puback(body)}.get(first & 0xF0, b"")


@asynccontextmanager
async def tls_broker(context: ssl.SSLContext) -> AsyncIterator[ScriptedBroker]:
    broker = ScriptedBroker(answer)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=context)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        await broker.until(lambda: broker.open == 0)


def serving(directory: Path, client: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(directory, "server"))
    if client is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client)
    return context


def uplink(port: int, tls: TlsSettings) -> Uplink:
    return Uplink(UplinkSettings("127.0.0.1", "D", port, tls=tls), "D")


async def test_a_certificate_on_both_sides(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "client")
    context = serving(tmp_path, certificate)
    tls = TlsSettings(str(tmp_path / "server.pem"), str(certificate), str(key))
    async with tls_broker(context) as broker, uplink(broker.port, tls).connect(WILL) as link:
        await asyncio.gather(*(link.publish(Outgoing("t", bytes(5000))) for _ in range(20)))
        assert broker.kinds().count(PUBLISH) == 20


async def test_a_broker_of_another_authority_is_refused(tmp_path: Path) -> None:
    other, _ = self_signed(tmp_path, "other")
    async with tls_broker(serving(tmp_path)) as broker:
        with pytest.raises(UplinkError, match="certificate"):
            async with uplink(broker.port, TlsSettings(str(other))).connect(WILL):
                pass
        assert broker.packets == []


def test_nothing_below_tls_1_2_and_always_verified(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path, "ca")
    context = tls_context(TlsSettings(str(certificate)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UplinkError, match=r"nowhere\.pem"):
        tls_context(TlsSettings(str(tmp_path / "nowhere.pem")))
    way = uplink(1, TlsSettings(str(tmp_path / "nowhere.pem")))
    with pytest.raises(UplinkError, match=r"nowhere\.pem"):
        async with way.connect(WILL):
            pass


def test_files_that_cannot_be_used_are_named_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (one, key), (_, strange) = authority.issue("one"), authority.issue("other")
    text = tmp_path / "keys.yaml"
    text.touch(mode=0o600)
    text.write_text("default: {}\n")
    ca, pair = str(authority.path), "no certificate and its key in PEM, without a pass phrase"
    for settings, fault in (
        (TlsSettings(str(text)), f"{text}: no certificate in PEM"),
        (TlsSettings(str(tmp_path)), f"{tmp_path}: Is a directory"),
        (TlsSettings(ca, str(one), str(strange)), f"{one}, {strange}: the key is that of another certificate"),
        (TlsSettings(None, str(one), str(text)), f"{one}, {text}: {pair}"),
        (TlsSettings(ca, str(text), str(key)), f"{text}, {key}: {pair}"),
    ):
        with pytest.raises(UplinkError) as caught:
            tls_context(settings)
        assert str(caught.value) == f"tls: {fault}"


def test_a_key_under_a_pass_phrase_is_not_asked_for(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("one")
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    sealed = serialization.BestAvailableEncryption(b"word")
    key.write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, sealed)
    )
    with pytest.raises(UplinkError, match="without a pass phrase"):
        tls_context(TlsSettings(None, str(certificate), str(key)))


async def test_cancelled_in_a_handshake_that_never_ends(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path, "ca")
    reached, gone = asyncio.Event(), asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reached.set()
        while await reader.read(1000):
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connecting() -> None:
        async with uplink(port, TlsSettings(str(certificate))).connect(WILL):
            pass

    task = asyncio.create_task(connecting())
    await reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    async with asyncio.timeout(30):
        await gone.wait()
    server.close()
