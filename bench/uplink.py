"""What a row of eight values costs on the air: the daemon's delivering flow, its store, TLS and a real mosquitto.

A proxy between the two counts the octets of both directions and how they come in bursts. Headers of TCP and IP are
arithmetic: 52 octets (IPv4 and TCP with timestamps) for each segment of 1448 octets, and for an acknowledgement of
every second segment, at least one for each burst. Rows are those of 1024 simulated households, in the order and at the
rate in which three lines bring them, told SPEED times as fast as the delays that make blocks of them.
"""

import asyncio
import datetime as dt
import ipaddress
import random
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import aiomqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.figures import Figure
from dcu.clock import SystemClock
from dcu.config import StreamSettings, TlsSettings, UplinkSettings
from dcu.config.settings import DATA_STREAM
from dcu.delivery.deliver import Deliver
from dcu.delivery.dialect import Dialect
from dcu.dlms.cosem import UNITS
from dcu.messages.envelope import Envelopes
from dcu.model import Capture, Column
from dcu.obis import parse_obis
from dcu.store import Store
from dcu.uplink import Uplink
from sim.broker import Broker, free_port
from sim.fleet import FleetPlan, make_meter
from sim.meter import SimMeter
from sim.profiles import STATUS_LOAD_0

DCU = "DCU-0001"

#: Octets of one row in a JSON message of its own, through MQTT, TLS and TCP: what a plain gateway spends.
NAIVE = 476

#: Octets of headers of a segment, and of data in a full one.
HEADERS, SEGMENT = 52, 1448

#: Seconds of line time for a visit over an association kept open (`visit_open` of the benchmark `wire`), on each bus.
VISIT, BUSES = 0.47, 3

#: How much faster rows come, and how much sooner their delay is over.
SPEED = 20.0

NOON = 1_769_860_800
QUARTER = 900

COLUMNS = (
    Column(1, STATUS_LOAD_0),
    *(Column(3, parse_obis(f"1-0:{quantity}.8.0.255"), unit=30 if quantity < 3 else 32) for quantity in (1, 2, 3, 4)),
    Column(3, parse_obis("1-0:32.7.0.255"), scaler=-1, unit=35),
    Column(3, parse_obis("1-0:31.7.0.255"), scaler=-2, unit=33),
    Column(3, parse_obis("1-0:13.7.0.255"), scaler=-3),
)


@dataclass(slots=True)
class Count:
    """What passed since it was set to zero: octets of the streams, and those of headers."""

    octets: int = 0
    headers: int = 0

    def burst(self, octets: int) -> None:
        segments = -(-octets // SEGMENT)
        self.octets += octets
        self.headers += HEADERS * (segments + -(-segments // 2))

    @property
    def total(self) -> int:
        return self.octets + self.headers


class Proxy:
    """Passes octets on between the daemon and the broker at `port`, and counts them."""

    def __init__(self, port: int) -> None:
        self.count = Count()
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; return on which port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while burst := await reader.read(1 << 20):
                self.count.burst(len(burst))
                writer.write(burst)
                await writer.drain()
        writer.close()


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    meters = 256 if quick else 1024
    print(f"{meters} meters, {len(COLUMNS)} values a row, {BUSES} lines with a visit every {VISIT} s each; TLS 1.3")
    usual = _row_octets(meters, 1, DATA_STREAM, "read each quarter hour, sent as by default")
    _row_octets(meters, 1, replace(DATA_STREAM, delay=300.0), "read each quarter hour, delay 5m")
    _row_octets(meters, 4, DATA_STREAM, "read each hour, four rows of a meter, sent as by default")
    _row_octets(meters, 1, replace(DATA_STREAM, compact=False, rows=100), "read each quarter hour, as JSON")
    return [Figure("uplink", "bytes_ratio", usual / NAIVE)]


def _row_octets(meters: int, rows: int, settings: StreamSettings, words: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        connection, count, messages = asyncio.run(_deliver(Path(folder), visits(meters, rows), settings))
    each = count.total / (meters * rows)
    headers, block = count.headers / (meters * rows), meters * rows / messages
    print(f"{each:6.2f} octets a row ({each / NAIVE:.4f} of {NAIVE}), {headers:.2f} of TCP and IP; {words}:", end=" ")
    print(f"{block:.0f} rows a message; {connection.total} octets to connect")
    return each


def visits(meters: int, rows: int) -> list[list[Capture]]:
    """Return the captures of each visit in the order in which the lines come to them."""
    dice = random.Random(1)
    plan = FleetPlan(meters=meters, buses=BUSES, clock_spread=5.0)
    return [_visit(make_meter(plan, index), rows, index * VISIT / BUSES, dice) for index in range(meters)]


def _visit(meter: SimMeter, rows: int, after: float, dice: random.Random) -> list[Capture]:
    read_at = round(NOON + 60.0 + after + dice.uniform(0, VISIT), 3)
    offset = round(meter.plate.clock_offset + dice.uniform(-0.05, 0.05), 3)
    times = range(NOON - QUARTER * (rows - 1), NOON + 1, QUARTER)
    return [
        Capture(
            meter.id,
            "load0",
            at,
            0,
            tuple(meter.value(column, at) for column in COLUMNS),
            COLUMNS,
            read_at,
            offset,
            trusted=True,
        )
        for at in times
    ]


async def _deliver(
    folder: Path, brought: Sequence[Sequence[Capture]], settings: StreamSettings
) -> tuple[Count, Count, int]:
    """Return what the connection cost, what the rows cost, and how many blocks they made."""
    certificate, key = certified(folder)
    plain = free_port()
    options = (f"certfile {certificate}", f"keyfile {key}", f"listener {plain} 127.0.0.1", "allow_anonymous true")
    async with (
        Broker(folder / "broker", options, embedded=False) as broker,
        Store.open(folder / "store.db", SystemClock()) as store,
        aiomqtt.Client("127.0.0.1", plain) as head,
    ):
        await head.subscribe(f"ami/v1/{DCU}/#", qos=1)  # else nobody is there, and nothing delivered
        proxy = Proxy(broker.port)
        port = await proxy.start()
        hurried = replace(settings, delay=settings.delay / SPEED)
        uplink = UplinkSettings("127.0.0.1", DCU, port, tls=TlsSettings(str(certificate)), streams={"load0": hurried})
        clock, ours = SystemClock(), Uplink(uplink, DCU)
        envelopes = Envelopes(DCU, "5f0c2a9be1d4", {"version": "0.1.0"}, UNITS)
        flow = Deliver(
            store=store.outbox,
            uplink=ours,
            dialect=Dialect(envelopes, ours.topics, clock),
            clock=clock,
            on_command=_no_command,
        )
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(flow.run())
            await _until_quiet(proxy, flow)
            connection, proxy.count = proxy.count, Count()
            await _collect(store, brought)
            while any((await store.outbox.pending()).values()):  # noqa: ASYNC110 - the store tells of commits, not of this
                await asyncio.sleep(0.05)
            await _until_quiet(proxy, flow)
            count, blocks = proxy.count, flow.figures.acknowledged
            sending.cancel()
        proxy.stop()
    return connection, count, blocks


async def _collect(store: Store, brought: Sequence[Sequence[Capture]]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, captures in enumerate(brought):
        await asyncio.sleep(began + number * VISIT / BUSES / SPEED - loop.time())
        await store.readings.record(captures, {})


async def _until_quiet(proxy: Proxy, flow: Deliver) -> None:
    """Wait until connected, and until nothing passes any more."""
    before = -1
    while not flow.figures.connected or before != proxy.count.total:
        before = proxy.count.total
        await asyncio.sleep(0.3)


async def _no_command(topic: str, payload: bytes) -> None:
    raise AssertionError(f"a command on {topic}: {payload[:40]!r}")


def certified(folder: Path, host: str = "127.0.0.1") -> tuple[Path, Path]:
    """Write a certificate for `host` that is its own authority, and its key; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - dt.timedelta(1), now + dt.timedelta(1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "broker.pem", folder / "broker.key"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(certificate.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths
