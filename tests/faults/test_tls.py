"""Handshakes with a real mosquitto that fail, in words for the operator; what waits meanwhile comes in full."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dcu.config import TlsSettings, UplinkSettings
from dcu.errors import UplinkError
from dcu.uplink import Outgoing, Uplink
from sim.broker import Broker, free_port, mosquitto
from sim.headend import HeadEnd
from tests.certificates import Authority
from tests.flow import DCU, fill, make_flow, running
from tests.outbox import MemoryOutbox

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")

PAST, FUTURE = (-20.0, -1.0), (1.0, 20.0)
NOT_OURS = "the broker does not take this unit's certificate (tls.cert)"

#: OpenSSL's own configuration (config(5)) of a broker that is years behind.
OLD = """
openssl_conf = begin
[begin]
ssl_conf = versions
[versions]
system_default = newest
[newest]
MaxProtocol = TLSv1.2
"""


class Site:
    """An authority, a broker with a listener in the plain and one for units with a certificate, and a unit."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.folder = folder
        self.port = free_port()
        self.tls = self.authority.settings("unit")
        self.authority.issue("broker")

    def broker(self) -> Broker:
        options = (
            f"listener {self.port} 127.0.0.1",
            f"cafile {self.authority.path}",
            f"certfile {self.folder}/broker.pem",
            f"keyfile {self.folder}/broker.key",
            "require_certificate true",
        )
        return Broker(self.folder / "broker", options)

    async def failure(self) -> str:
        """Return what a unit says that cannot connect."""
        settings = UplinkSettings("127.0.0.1", DCU, self.port, tls=self.tls)
        async with self.broker():
            with pytest.raises(UplinkError) as caught:
                async with Uplink(settings, DCU).connect(Outgoing("s", b"will")):
                    pass
        return str(caught.value)


def without_certificate(site: Site) -> None:
    site.tls = TlsSettings(site.tls.ca)


def of_another_authority(site: Site) -> None:
    site.tls = replace(site.tls, ca=str(Authority(site.folder, "other").path))


def certified_by_another(site: Site) -> None:
    certificate, key = Authority(site.folder, "other").issue("unit")
    site.tls = replace(site.tls, cert=str(certificate), key=str(key))


def broker_has(days: tuple[float, float] = (-1, 20), address: str = "127.0.0.1") -> Callable[[Site], None]:
    def issue(site: Site) -> None:
        site.authority.issue("broker", days, address)

    return issue


def unit_expired(site: Site) -> None:
    site.authority.issue("unit", PAST)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (of_another_authority, "the broker's certificate comes from an authority that tls.ca does not have"),
        (broker_has(PAST), "the broker's certificate has expired; or is this unit's clock wrong?"),
        (broker_has(FUTURE), "the broker's certificate is not valid yet: is this unit's clock right?"),
        (broker_has(address="127.0.0.2"), "the broker's certificate is for another IP address"),
        (without_certificate, "the broker asks for a certificate, and tls.cert names none"),
        (certified_by_another, f"{NOT_OURS}: it does not know its authority"),
        (unit_expired, f"{NOT_OURS}: it has expired"),
    ],
)
async def test_what_is_said_of_a_handshake_that_fails(tmp_path: Path, fault: Callable[[Site], None], said: str) -> None:
    site = Site(tmp_path)
    fault(site)
    assert await site.failure() == f"tls: {said}"


async def test_a_broker_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)
    (tmp_path / "openssl.cnf").write_text(OLD)
    monkeypatch.setenv("OPENSSL_CONF", str(tmp_path / "openssl.cnf"))
    site.tls = replace(site.tls, only_13=True)
    assert await site.failure() == "tls: the broker speaks no version of TLS that we do (tls.minimum)"


@asynccontextmanager
async def backlog(site: Site, broker: Broker, store: MemoryOutbox) -> AsyncIterator[HeadEnd]:
    """A unit with rows to deliver by TLS, and the head-end that waits for them."""
    async with HeadEnd(broker.host, broker.port, DCU) as head:
        flow = make_flow(site.port, store, tls=site.tls)
        async with running(flow):
            async with asyncio.timeout(30):
                while flow.figures.tries < 5:  # noqa: ASYNC110 - figures have no event
                    await asyncio.sleep(0.01)
            assert "certificate" in (flow.figures.error or "")
            assert flow.figures.connections < 1
            yield head
            assert flow.figures.connections == 1


@pytest.mark.parametrize("days", [PAST, FUTURE])
@pytest.mark.parametrize("whose", ["unit", "broker"])
async def test_a_wrong_certificate_for_a_while_costs_nothing_but_time(
    tmp_path: Path, whose: str, days: tuple[float, float]
) -> None:
    site, store = Site(tmp_path), MemoryOutbox()
    site.authority.issue(whose, days)
    async with site.broker() as broker, backlog(site, broker, store) as head:
        fill(store, 2000)
        site.authority.issue(whose)
        if whose == "broker":
            await broker.stop()
            await broker.start()
        await head.until(lambda: len(head.tally.captures) == 2000)
        assert sorted(each.values[0] for each in head.tally.captures.values()) == list(range(2000))
        assert (head.tally.conflicts, head.tally.holes(), head.tally.dropped) == (0, {}, [])
        async with asyncio.timeout(30):
            while not store.empty:  # noqa: ASYNC110 - the last PUBACK may follow what the head-end has already seen
                await asyncio.sleep(0.01)
