"""Every way a handshake fails, in words that say what is to be done; and files that are renewed under a connection."""

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from dcu.clock import SystemClock
from dcu.config import ChannelSettings, TlsSettings, UplinkSettings
from dcu.errors import UplinkError
from dcu.uplink import Outgoing, Uplink, ways
from dcu.uplink.dial import RESET
from dcu.uplink.tls import in_words
from dcu.uplink.ways import Ways
from sim.broker import Broker
from tests.certificates import Authority
from tests.unit.uplink.test_tls import tls_broker

WILL = Outgoing("s", b"will")


def serving(authority: Authority, *, days: tuple[float, float] = (-1, 365), **kind: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("broker", days, **kind))
    return context


def asking(authority: Authority, trusted: Authority | None = None) -> ssl.SSLContext:
    """A broker that wants a certificate of `trusted`."""
    context = serving(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations((trusted or authority).path)
    return context


def refuse(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Shake hands with whoever comes, as OpenSSL does it: with an alert that says why not (asyncio sends none)."""
    while True:
        try:
            line, _ = listening.accept()
        except OSError:
            return
        wrapped = context.wrap_socket(line, server_side=True, do_handshake_on_connect=False)
        with suppress(OSError), wrapped as secured:
            try:
                secured.do_handshake()
            except ssl.SSLError:
                secured.shutdown(socket.SHUT_WR)
            while secured.recv(1000):
                pass


async def failure(context: ssl.SSLContext, tls: TlsSettings) -> str:
    """Return what is said of a connection that cannot be had."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=refuse, args=(listening, context))
        thread.start()
        port = listening.getsockname()[1]
        try:
            with pytest.raises(UplinkError) as caught:
                async with Uplink(UplinkSettings("127.0.0.1", "D", port, tls=tls), "D").connect(WILL):
                    pass
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            await asyncio.to_thread(thread.join)
    return str(caught.value)


@pytest.mark.parametrize(
    ("days", "address", "said"),
    [
        ((-20, -1), "127.0.0.1", "the broker's certificate has expired; or is this unit's clock wrong?"),
        ((1, 20), "127.0.0.1", "the broker's certificate is not valid yet: is this unit's clock right?"),
        ((-1, 20), "127.0.0.2", "the broker's certificate is for another IP address"),
    ],
)
async def test_a_broker_whose_certificate_is_not_good(
    tmp_path: Path, days: tuple[float, float], address: str, said: str
) -> None:
    authority = Authority(tmp_path)
    context = serving(authority, days=days, address=address)
    assert await failure(context, authority.settings()) == f"tls: {said}"


async def test_a_broker_of_another_authority(tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    said = await failure(serving(Authority(tmp_path)), other.settings())
    assert said == "tls: the broker's certificate comes from an authority that tls.ca does not have"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_broker_that_wants_a_certificate_and_gets_none(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    authority = Authority(tmp_path)
    context = asking(authority)
    context.maximum_version = newest
    assert "certificate" in await failure(context, authority.settings())


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_broker_that_does_not_take_ours(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    authority = Authority(tmp_path)
    context = asking(authority, Authority(tmp_path, "fleet"))
    context.maximum_version = newest
    said = await failure(context, authority.settings("unit"))
    assert said.startswith("tls: the broker does not take this unit's certificate (tls.cert)")


async def test_ours_has_expired(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    said = await failure(asking(authority), authority.settings("unit", (-20, -1)))
    assert said == "tls: the broker does not take this unit's certificate (tls.cert): it has expired"


async def test_no_version_in_common(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = serving(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    said = await failure(context, TlsSettings(str(authority.path), only_13=True))
    assert said == "tls: the broker speaks no version of TLS that we do (tls.minimum)"


@pytest.mark.parametrize("version", ["3", "5"])
async def test_a_broker_that_speaks_no_tls_at_this_port(tmp_path: Path, version: str) -> None:
    tls = Authority(tmp_path).settings()
    async with Broker(tmp_path) as broker:
        settings = UplinkSettings("127.0.0.1", "D", broker.port, tls=tls, mqtt_version=version)
        with pytest.raises(UplinkError, match=r"^tls: .*no TLS is spoken at this port$"):
            async with Uplink(settings, "D").connect(WILL):
                pass


async def test_a_port_that_answers_and_resets_at_once(tmp_path: Path) -> None:
    """Bytes that were not read make the kernel reset the connection that is closed (RFC 2525, 2.17)."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        line = writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        settings = UplinkSettings(
            "127.0.0.1", "D", server.sockets[0].getsockname()[1], tls=Authority(tmp_path).settings()
        )
        with pytest.raises(UplinkError) as caught:
            async with Uplink(settings, "D").connect(WILL):
                pass
    assert str(caught.value) == RESET
    page = (Path(__file__).parents[3] / "docs" / "operate" / "tls.md").read_text(encoding="utf-8")
    assert f"; {RESET.removeprefix('tls: ').partition(': ')[0]}: … |" in page


async def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.settings("unit")
    Path(tls.key or "").chmod(0o644)
    assert "holds secrets and has mode 0644" in await failure(serving(authority), tls)


async def test_a_service_behind_one_port_is_told_the_protocol(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = serving(authority)
    context.set_alpn_protocols(["http/1.1", "mqtt"])
    tls = TlsSettings(str(authority.path), alpn=("mqtt",))
    async with tls_broker(context) as broker:
        settings = UplinkSettings("127.0.0.1", "D", broker.port, tls=tls)
        async with Uplink(settings, "D").connect(WILL) as link:
            assert isinstance(link.client.line, ssl.SSLSocket)
            assert link.client.line.selected_alpn_protocol() == "mqtt"


def test_what_has_no_words_of_ours_keeps_its_own() -> None:
    assert "something new" in in_words(ssl.SSLError(1, "something new"))
    assert in_words(ConnectionRefusedError(111, "Connection refused")) == "[Errno 111] Connection refused"


class Renewing:
    """A unit whose files change under its connection."""

    def __init__(self, folder: Path, port: int, tls: TlsSettings, *channels: ChannelSettings) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        settings = UplinkSettings("127.0.0.1", "D", port, tls=tls, mqtt_version="5", channels=channels)
        self.way = Ways(settings, "D", SystemClock(), folder, self.tell)

    async def tell(self, name: str, **detail: object) -> None:
        self.events.append((name, detail))

    async def lost(self) -> str:
        """Connect, and return why the connection ended."""
        with pytest.raises(UplinkError) as caught:
            await self._live()
        return str(caught.value)

    async def _live(self) -> None:
        async with self.way.connect(WILL) as link:
            async for _ in link.messages():
                pass


async def test_renewed_files_are_taken_up_by_the_same_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "RENEWAL_LOOK", 0.02)
    authority = Authority(tmp_path)
    tls = authority.settings("unit")
    async with tls_broker(asking(authority)) as broker:
        unit = Renewing(tmp_path, broker.port, tls, ChannelSettings("eth"), ChannelSettings("gprs"))
        losing = asyncio.create_task(unit.lost())
        await broker.until(lambda: len(broker.packets) == 1)
        authority.issue("unit")
        assert "left for another" in await losing
        assert unit.way.backoff.delay() == 0.0
        assert unit.way.channels.way.channel == "eth"
        assert unit.events == []


async def test_renewed_files_that_are_no_good_are_told_of_and_the_connection_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "RENEWAL_LOOK", 0.02)
    authority = Authority(tmp_path)
    tls = authority.settings("unit")
    async with tls_broker(asking(authority)) as broker:
        unit = Renewing(tmp_path, broker.port, tls)
        losing = asyncio.create_task(unit.lost())
        await broker.until(lambda: len(broker.packets) == 1)
        good = Path(tls.cert or "").read_bytes()
        Path(tls.cert or "").write_text("half a file")
        while not unit.events:  # noqa: ASYNC110 - told to a list
            await asyncio.sleep(0.01)
        ((name, detail),) = unit.events
        assert name == "certificate unusable"
        assert "unit.pem" in str(detail["why"])
        assert not losing.done()
        Path(tls.cert or "").write_bytes(good)
        await losing


async def test_a_connection_that_is_lost_meanwhile_comes_back_with_the_certificate_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "RENEWAL_LOOK", 0.02)
    authority = Authority(tmp_path)
    tls = authority.settings("unit")
    async with tls_broker(asking(authority)) as broker:
        unit = Renewing(tmp_path, broker.port, tls, ChannelSettings("eth"), ChannelSettings("gprs"))
        plain = Uplink(UplinkSettings("127.0.0.1", "E", broker.port, tls=tls), "E")
        for way in (plain, unit.way):
            async with way.connect(WILL):
                pass
        Path(tls.cert or "").write_bytes(Path(tls.cert or "").read_bytes()[:200])
        async with plain.connect(WILL):
            pass
        losing = asyncio.create_task(unit.lost())
        while len(unit.events) < 2:  # noqa: ASYNC110 - told to a list
            await asyncio.sleep(0.01)
        # by the other channel too
        assert [name for name, _ in unit.events] == ["uplink channel changed", "certificate unusable"]
        authority.issue("unit")
        assert "left for another" in await losing


async def test_certificates_that_end_soon_are_told_of_once_a_day(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.settings("unit", (-1, 7.5))
    async with tls_broker(serving(authority, days=(-1, 29.5))) as broker:
        unit = Renewing(tmp_path, broker.port, tls)
        async with unit.way.connect(WILL) as link:
            assert unit.way._renewal is not None
            for _ in range(3):
                await unit.way.certify(unit.way._renewal, link)
    assert [name for name, _ in unit.events] == ["certificate expires"] * 2
    assert [(detail["certificate"], detail["days"]) for _, detail in unit.events] == [
        (tls.cert, 7),
        ("the broker's", 29),
    ]


async def test_a_certificate_that_has_ended_is_told_of_though_no_connection_can_be_had(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.settings("unit", (-20, -1.5))
    async with tls_broker(asking(authority)) as broker:
        unit = Renewing(tmp_path, broker.port, tls)
        for _ in range(3):
            with pytest.raises(UplinkError):
                async with unit.way.connect(WILL):
                    pass
    assert [(name, detail["certificate"], detail["days"]) for name, detail in unit.events] == [
        ("certificate expires", tls.cert, -2)
    ]
