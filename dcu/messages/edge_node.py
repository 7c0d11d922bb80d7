"""One Sparkplug edge node, ours, with a device for each meter: which messages it owes, and their numbers and aliases.

connect() ──will── births() ──NBIRTH, all DBIRTH── data()… ──DBIRTH where a meter shows something new, DDATA──
   ▲                  ▲ a host asks for rebirth: the same bdSeq again        │
   └── next CONNECT: bdSeq + 1 ──────────────────────────────── death() ─────┘
Octets of a payload are in `sparkplug`; connecting and publishing is not done here. Source: Sparkplug 3.0.0, 4 and 5.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dcu.messages.encoding import encode
from dcu.messages.envelope import Describe, is_event
from dcu.messages.sparkplug import DataType, Metric, Payload, datatype_of, decode_payload, encode_payload
from dcu.model import DCU_EVENTS, NO_STATUS, Capture, Column, Value
from dcu.obis import format_obis

NAMESPACE: Final = "spBv1.0"

#: Numbers of messages and of connections count up to this, and begin at 0 again (6.4.1, 6.4.19).
COUNT: Final = 256

#: What waited longer than this for its way is told as history: it is not how things are now.
FRESH: Final = 900.0

REBIRTH: Final = "Node Control/Rebirth"
BDSEQ: Final = "bdSeq"

#: What is told of the box's own events.
OWN = tuple(f"{DCU_EVENTS}/{word}" for word in ("meter", "event", "severity", "detail"))


@dataclass(frozen=True, slots=True)
class Message:
    """A topic and its payload; QoS 0 and never retained, as Sparkplug has it."""

    topic: str
    payload: bytes


@dataclass(slots=True)
class _Tag:
    """What a host knows of one metric: under which number, what it is, and how it stands."""

    alias: int
    datatype: DataType
    column: Column | None = None
    value: Value = None
    at: int = 0


@dataclass(slots=True)
class EdgeNode:
    """The edge node `node` of `group`. `about` is told in its birth; `units` and `describe` are those of `Envelopes`.

    It holds the last value of each metric, some 20 of each meter: a birth has to tell them all.
    """

    group: str
    node: str
    about: Mapping[str, Value] = field(default_factory=dict)
    units: Mapping[int, str] = field(default_factory=dict)
    describe: Describe = field(default=lambda _: {})
    _devices: dict[str, dict[str, _Tag]] = field(default_factory=dict)
    _own: dict[str, _Tag] = field(default_factory=dict)
    _aliases: int = 0
    _seq: int = 0
    _bdseq: int = -1
    _names: dict[tuple[str, Column], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = {name: self._tag(DataType.STRING) for name in OWN}

    @property
    def commands(self) -> str:
        """The topic a host's requests come by."""
        return self._topic("NCMD")

    @property
    def devices(self) -> tuple[str, ...]:
        """The meters that live."""
        return tuple(self._devices)

    def connect(self) -> Message:
        """Begin a connection: return its last will."""
        self._bdseq = (self._bdseq + 1) % COUNT
        return self.death()

    def death(self) -> Message:
        """The death certificate: to be published before an ordered end too."""
        return Message(self._topic("NDEATH"), encode_payload(Payload(None, (self._connection(None),))))

    def births(self, now: float) -> Iterator[Message]:
        """All births, in their order; nothing else may be sent in between."""
        self._seq = COUNT - 1
        at = _ms(now)
        metrics = [self._connection(at), Metric(False, at, REBIRTH, datatype=DataType.BOOLEAN)]
        metrics += [Metric(value, at, name, datatype=datatype_of(value)) for name, value in self.about.items()]
        metrics += [self._shown(name, tag, at) for name, tag in self._own.items()]
        yield self._numbered(now, "NBIRTH", metrics)
        for device in self._devices:
            yield self._device_birth(now, device)

    def gone(self, now: float, device: str) -> Iterator[Message]:
        """The death of a meter that is read no more."""
        if self._devices.pop(device, None) is not None:
            yield self._numbered(now, "DDEATH", (), device)

    def data(self, now: float, captures: Iterable[Capture]) -> Iterator[Message]:
        """The messages that tell `captures`, in their order."""
        for capture in captures:
            if capture.stream == DCU_EVENTS:
                yield self._numbered(now, "NDATA", self._told(now, capture, self._own))
                continue
            if self._learn(capture):
                yield self._device_birth(now, capture.meter)
            told = self._told(now, capture, self._devices[capture.meter])
            self._note(capture)
            yield self._numbered(now, "DDATA", told, capture.meter)

    def _told(self, now: float, capture: Capture, tags: Mapping[str, _Tag]) -> list[Metric]:
        """Return the metrics of `capture`; those that are no history are told in the order of their times (5.5)."""
        at, late, metrics = capture.at * 1000, now - capture.read_at > FRESH, []
        for name, value, _ in self._values(capture):
            tag = tags[name]
            metrics.append(Metric(value, at, alias=tag.alias, historical=late or at < tag.at))
            tag.at = max(tag.at, 0 if late else at)
        return metrics

    def _learn(self, capture: Capture) -> bool:
        """Give each metric of `capture` its alias; return whether the host has to be told of something new."""
        tags, new = self._devices.setdefault(capture.meter, {}), False
        for name, value, column in self._values(capture):
            tag = tags.get(name)
            if tag is None:
                # born with the time of what is told of it first, which is no history then
                tag = tags[name] = self._tag(datatype_of(value), capture.at * 1000)
                new = True
            elif value is not None and tag.datatype is not datatype_of(value):
                tag.datatype, tag.value, new = datatype_of(value), None, True
            if tag.column != column:
                tag.column, tag.value, new = column, None, True
        return new

    def _note(self, capture: Capture) -> None:
        tags = self._devices[capture.meter]
        for name, value, _ in self._values(capture):
            if capture.at * 1000 >= tags[name].at:
                tags[name].value, tags[name].at = value, capture.at * 1000

    def _values(self, capture: Capture) -> Iterator[tuple[str, Value, Column | None]]:
        """Give name and value of each metric of a capture, and the column it has its scaler and unit from."""
        if capture.stream != DCU_EVENTS:
            for column, value in zip(capture.columns, capture.values, strict=True):
                yield self._name(capture.stream, column), value, column
            yield f"{capture.stream}/status", None if capture.status == NO_STATUS else capture.status, None
        else:
            yield f"{DCU_EVENTS}/meter", capture.meter, None
        if is_event(capture.stream):
            for name, told in self.describe(capture).items():
                yield f"{capture.stream}/{name}", _plain(told), None

    def _name(self, stream: str, column: Column) -> str:
        if (stream, column) not in self._names:
            element = f"/{column.data_index}" if column.data_index else ""
            self._names[stream, column] = f"{stream}/{format_obis(column.name)}/{column.index}{element}"
        return self._names[stream, column]

    def _device_birth(self, now: float, device: str) -> Message:
        metrics = [self._shown(name, tag, _ms(now)) for name, tag in self._devices[device].items()]
        return self._numbered(now, "DBIRTH", metrics, device)

    def _shown(self, name: str, tag: _Tag, at: int) -> Metric:
        tag.at = tag.at or at
        return Metric(tag.value, tag.at, name, tag.alias, tag.datatype, properties=self._properties(tag.column))

    def _properties(self, column: Column | None) -> Mapping[str, int | str]:
        if column is None:
            return {}
        unit = self.units.get(column.unit, "")
        return {"scaler": column.scaler, "unit": column.unit} | ({"engUnit": unit} if unit else {})

    def _tag(self, datatype: DataType, at: int = 0) -> _Tag:
        self._aliases += 1
        return _Tag(self._aliases, datatype, at=at)

    def _connection(self, at: int | None) -> Metric:
        return Metric(self._bdseq, at, BDSEQ, datatype=DataType.INT64)

    def _numbered(self, now: float, verb: str, metrics: Iterable[Metric], device: str = "") -> Message:
        self._seq = (self._seq + 1) % COUNT
        payload = Payload(_ms(now), tuple(metrics), self._seq)
        return Message(self._topic(verb, device), encode_payload(payload))

    def _topic(self, verb: str, device: str = "") -> str:
        return "/".join(filter(None, (NAMESPACE, self.group, verb, self.node, device)))


def asks_for_rebirth(payload: bytes) -> bool:
    """Whether a host's request asks for all births again; anything else it may write, nothing of ours is writable.

    Raises CommandRejected for what is no payload.
    """
    return any(metric.name == REBIRTH and metric.value is True for metric in decode_payload(payload).metrics)


def _plain(value: object) -> Value:
    """Return what is told of an event as one value: JSON when it is several."""
    return value if value is None or isinstance(value, bool | int | float | str) else encode(value).decode()


def _ms(at: float) -> int:
    return round(at * 1000)
