"""A whole neighbourhood: meters on lines and behind a gateway, drawn from a seed, running inside one event loop.

How its daemon is told about them is in `sim.site`; the meters cost no task each, only their lines a timer.
"""

from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from dcu.clock import Clock
from dcu.model import Access, Framing, Keys, Meter
from dcu.obis import format_obis
from sim.bus import GatewayPort, MemoryBus, MemoryGateway, MemoryPort, PtyBus, TcpBus
from sim.faults import Faults
from sim.household import noise
from sim.line import Line
from sim.meter import Nameplate, SimMeter
from sim.models import IDIS, INDIAN
from sim.server import MANAGEMENT, OLD_READER, READER

PROFILE = "idis"

#: Lower HDLC addresses are reserved (IEC 62056-46).
FIRST_ADDRESS = 17

TCP_BUS = "gateway-1"

AnyBus = PtyBus | MemoryBus | TcpBus | MemoryGateway


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What a fleet is made of. The last `tcp_meters` of `meters` are behind a gateway, the others spread over `buses`.

    Of four meters one has three phases and one talks HLS-GMAC, ciphered (`hls` of 256 say so); of five one exports. Of
    those that only want a password `old` of 256 have short names. `indian` of 256 are made after IS 15959. Meters'
    clocks are up to `clock_spread` seconds off. `turnaround` is in seconds.
    """

    meters: int = 48
    buses: int = 3
    baud: int = 9600
    seed: int = 1
    tcp_meters: int = 0
    turnaround: float = 0.02
    clock_spread: float = 0.0
    hls: int = 64
    old: int = 0
    indian: int = 0
    faults: Faults = field(default_factory=Faults)

    def id_of(self, index: int) -> str:
        return f"M{index + 1:04d}"

    def access_of(self, identity: str) -> Access:
        """Return how the meter `identity` is reached."""
        if noise(self.seed, identity, "access") % 256 < self.hls:
            return MANAGEMENT
        return OLD_READER if noise(self.seed, identity, "age") % 256 < self.old else READER


def make_meter(plan: FleetPlan, index: int) -> SimMeter:
    """Return the meter number `index` (from 0) of `plan`, the same one each time."""
    identity = plan.id_of(index)
    dice = noise(plan.seed, identity, "kind")
    spread = noise(plan.seed, identity, "clock") / 2**63 - 1
    return SimMeter(
        Nameplate(
            seed=plan.seed,
            id=identity,
            address=FIRST_ADDRESS + index,
            phases=3 if dice % 4 == 0 else 1,
            solar=dice // 4 % 5 == 0,
            keys=_keys(plan.seed, identity),
            compressed=dice // 20 % 2 == 0,
            clock_offset=plan.clock_spread * spread,
            referencing=plan.access_of(identity).referencing,
            single=dice // 40 % 2 == 0,
            kind=INDIAN if noise(plan.seed, identity, "country") % 256 < plan.indian else IDIS,
        )
    )


def profile_of(meter: SimMeter) -> str:
    """Return the companion profile that `meter` follows."""
    return PROFILE if meter.plate.kind == IDIS else f"is15959-{meter.plate.phases}p"


def _keys(seed: int, meter: str) -> Keys:
    def octets(name: str) -> bytes:
        return b"".join(noise(seed, meter, name, half).to_bytes(8) for half in (0, 1))

    return Keys(
        octets("password").hex()[:12].encode(),
        octets("encryption"),
        octets("authentication"),
        master_key=octets("master"),
    )


class Fleet:
    """The meters of `plan` on ptys and behind TCP: a context manager that opens them; `clock` gives the time.

    `archive`, `access` and `keys` say in the daemon's own words how they are reached. `in_memory`, for virtual time,
    nothing of it is open in the world, and `port` is how to reach a bus.
    """

    def __init__(self, plan: FleetPlan, clock: Clock, *, in_memory: bool = False) -> None:
        self.plan = plan
        self.meters = tuple(make_meter(plan, index) for index in range(plan.meters))
        self._by_id = {meter.id: meter for meter in self.meters}
        wired = self.meters[: plan.meters - plan.tcp_meters]
        wire, gateway = (MemoryBus, MemoryGateway) if in_memory else (PtyBus, TcpBus)
        self.wires: tuple[PtyBus | MemoryBus, ...] = tuple(
            wire(f"rs485-{number + 1}", make_line(plan, wired[number :: plan.buses], number), clock)
            for number in range(plan.buses)
        )
        remote = self.meters[len(wired) :]
        self.gateway: TcpBus | MemoryGateway | None = None
        if remote:
            self.gateway = gateway(TCP_BUS, remote, clock, turnaround=plan.turnaround)
        self._opened = AsyncExitStack()

    @property
    def buses(self) -> tuple[AnyBus, ...]:
        return (*self.wires, self.gateway) if self.gateway else self.wires

    @property
    def access(self) -> dict[str, Access]:
        found = (READER, MANAGEMENT, OLD_READER) if self.plan.old else (READER, MANAGEMENT)
        return {access.name: access for access in found}

    @property
    def archive(self) -> tuple[Meter, ...]:
        """The meters as the daemon's archive has them, bus by bus."""
        return tuple(
            Meter(meter.id, bus.name, meter.plate.address, self.plan.access_of(meter.id).name, profile_of(meter))
            for bus in self.buses
            for meter in bus.meters
        )

    @property
    def keys(self) -> dict[str, Keys]:
        """Each meter's secrets, as far as its access needs them."""
        return {
            meter.id: replace(meter.plate.keys, password=b"")
            if self.plan.access_of(meter.id) is MANAGEMENT
            else Keys(password=meter.plate.keys.password)
            for meter in self.meters
        }

    def meter(self, identity: str) -> SimMeter:
        """Return a meter by its id; KeyError when there is none."""
        return self._by_id[identity]

    def framing(self, bus: AnyBus) -> Framing:
        return Framing.WRAPPER if bus is self.gateway else Framing.HDLC

    def port(self, name: str) -> MemoryPort | GatewayPort:
        """Return the master's end of the bus called `name` of a fleet in memory; KeyError when it is none of those."""
        ports = {bus.name: bus.port for bus in self.buses if isinstance(bus, MemoryBus | MemoryGateway)}
        return ports[name]

    def served(self) -> Counter[str]:
        """Return how often each object was read with success, all meters together, by logical name."""
        total: Counter[str] = Counter()
        for meter in self.meters:
            total.update({format_obis(name): count for name, count in meter.served.items()})
        return total

    def silence(self, *meters: str) -> None:
        """Let exactly these meters say nothing from now on; none named: all talk again."""
        for bus in self.buses:
            bus.silence(*meters)

    async def __aenter__(self) -> Self:
        for bus in self.buses:
            await self._opened.enter_async_context(bus)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()


def make_line(plan: FleetPlan, meters: tuple[SimMeter, ...], number: int) -> Line:
    """Return line number `number` (from 0) with `meters` on it, not yet plugged in anywhere."""
    return Line(meters, baud=plan.baud, turnaround=plan.turnaround, faults=plan.faults, seed=plan.seed * 1000 + number)
