"""A Sparkplug host that holds an edge node to the rules of Sparkplug 3.0.0, and reads by protobuf's own library.

It is the second opinion on `dcu.messages.sparkplug`: nothing of ours is used to understand a message.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto

#: Name, number, type and repetition of what a message of ours may hold (Sparkplug 3.0.0, 6.4, its schema).
_SCHEMA: dict[str, list[tuple[str, int, Any, bool]]] = {
    "Payload": [
        ("timestamp", 1, _FIELD.TYPE_UINT64, False),
        ("metrics", 2, ".sp.Metric", True),
        ("seq", 3, _FIELD.TYPE_UINT64, False),
    ],
    "Metric": [
        ("name", 1, _FIELD.TYPE_STRING, False),
        ("alias", 2, _FIELD.TYPE_UINT64, False),
        ("timestamp", 3, _FIELD.TYPE_UINT64, False),
        ("datatype", 4, _FIELD.TYPE_UINT32, False),
        ("is_historical", 5, _FIELD.TYPE_BOOL, False),
        ("is_null", 7, _FIELD.TYPE_BOOL, False),
        ("properties", 9, ".sp.PropertySet", False),
        ("int_value", 10, _FIELD.TYPE_UINT32, False),
        ("long_value", 11, _FIELD.TYPE_UINT64, False),
        ("float_value", 12, _FIELD.TYPE_FLOAT, False),
        ("double_value", 13, _FIELD.TYPE_DOUBLE, False),
        ("boolean_value", 14, _FIELD.TYPE_BOOL, False),
        ("string_value", 15, _FIELD.TYPE_STRING, False),
        ("bytes_value", 16, _FIELD.TYPE_BYTES, False),
    ],
    "PropertySet": [("keys", 1, _FIELD.TYPE_STRING, True), ("values", 2, ".sp.PropertyValue", True)],
    "PropertyValue": [
        ("type", 1, _FIELD.TYPE_UINT32, False),
        ("is_null", 2, _FIELD.TYPE_BOOL, False),
        ("int_value", 3, _FIELD.TYPE_UINT32, False),
        ("long_value", 4, _FIELD.TYPE_UINT64, False),
        ("string_value", 8, _FIELD.TYPE_STRING, False),
    ],
}

#: The field that holds a value of each datatype (6.4.16).
HOLDS = {
    4: "long_value",
    10: "double_value",
    11: "boolean_value",
    12: "string_value",
    17: "bytes_value",
}
_VALUES = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value", "bytes_value")


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sp.proto", package="sp", syntax="proto2")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, repeated in fields:
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sp.Payload"))


PAYLOAD = _payload_class()


def read(payload: bytes) -> Any:
    """Return the message in `payload`; nothing in it may be unknown to the schema."""
    message = PAYLOAD()
    message.ParseFromString(payload)
    assert message.SerializeToString(deterministic=True), "an empty payload"
    return message


@dataclass
class Known:
    """A metric as its birth told it."""

    name: str
    datatype: int
    newest: int = 0
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Host:
    """Follows one edge node from its CONNECT. Every broken rule is an AssertionError that begins with the rule's id."""

    group: str
    node: str
    will: bytes
    alive: bool = False
    seq: int = -1
    #: By device ("" is the node) and alias.
    known: dict[str, dict[int, Known]] = field(default_factory=dict)
    births: list[str] = field(default_factory=list)
    #: By device and metric name: time (ms), value, whether it was told as history.
    told: dict[tuple[str, str], list[tuple[int, Any, bool]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.bdseq = self._death(read(self.will))

    def hear(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        namespace, group, verb, node, *device = topic.split("/")
        assert (namespace, group, node) == ("spBv1.0", self.group, self.node), "topic-structure"
        assert bool(device) == verb.startswith("D"), "topic-structure-namespace-device-id-associated-message-types"
        assert len(device) < 2, "topic-structure"
        assert not retain, f"payloads-{verb.lower()}-retain"
        message = read(payload)
        if verb == "NDEATH":
            assert self._death(message) == self.bdseq, "payloads-ndeath-bdseq"
            self.alive = False
            return
        assert qos == 0, f"payloads-{verb.lower()}-qos"
        assert message.timestamp, f"payloads-{verb.lower()}-timestamp"
        self._number(verb, message)
        getattr(self, f"_{verb.lower()}")(message, *device)

    def _number(self, verb: str, message: Any) -> None:
        assert message.HasField("seq"), "payloads-sequence-num-always-included"
        assert verb == "NBIRTH" or self.alive, "message-flow-edge-node-birth: nothing before NBIRTH"
        assert message.seq == (0 if verb == "NBIRTH" else (self.seq + 1) % 256), "payloads-sequence-num-incrementing"
        self.seq = message.seq

    def _death(self, message: Any) -> int:
        assert not message.HasField("seq"), "payloads-ndeath-seq"
        (metric,) = message.metrics
        assert metric.name == "bdSeq", "topics-ndeath-payload"
        return int(metric.long_value)

    def _nbirth(self, message: Any) -> None:
        named = {metric.name: metric for metric in message.metrics}
        assert named["bdSeq"].long_value == self.bdseq, "payloads-nbirth-bdseq-repeat"
        rebirth = named["Node Control/Rebirth"]
        assert rebirth.datatype == 11, "data-commands-rebirth-datatype"
        assert rebirth.HasField("boolean_value"), "data-commands-rebirth-value"
        assert not rebirth.boolean_value, "data-commands-rebirth-value"
        assert not rebirth.HasField("alias"), "data-commands-rebirth-name-aliases"
        self.alive, self.known, self.births = True, {}, []
        self._born("", message)

    def _dbirth(self, message: Any, device: str) -> None:
        self._born(device, message)

    def _ddeath(self, message: Any, device: str) -> None:
        assert not message.metrics
        del self.known[device]

    def _ndata(self, message: Any) -> None:
        self._data("", message)

    def _ddata(self, message: Any, device: str) -> None:
        self._data(device, message)

    def _born(self, device: str, message: Any) -> None:
        self.births.append(device)
        found = self.known[device] = {}
        names = [metric.name for metric in message.metrics]
        assert len(names) == len(set(names)), "payloads-name: twice in one birth"
        for metric in message.metrics:
            assert metric.name, "payloads-alias-birth-requirement"
            assert metric.timestamp, "payloads-name-birth-data-requirement"
            assert metric.datatype in HOLDS, "payloads-metric-datatype-req"
            properties = self._properties(metric)
            if metric.HasField("alias"):
                others = [alias for name, tags in self.known.items() for alias in tags if name != device]
                assert metric.alias not in others, "payloads-alias-uniqueness"
                assert metric.alias not in found, "payloads-alias-uniqueness"
                found[metric.alias] = Known(metric.name, metric.datatype, metric.timestamp, properties)
            self._value(metric, metric.datatype)

    def _data(self, device: str, message: Any) -> None:
        assert device in self.known, "data before the device's birth"
        for metric in message.metrics:
            assert not metric.name, "payloads-alias-data-cmd-requirement"
            assert not metric.datatype, "payloads-metric-datatype-not-req"
            assert metric.timestamp, "payloads-name-birth-data-requirement"
            assert metric.alias in self.known[device], "data-publish-dbirth: a metric that no birth told"
            known = self.known[device][metric.alias]
            if not metric.is_historical:
                assert metric.timestamp >= known.newest or metric.is_null, "data-publish-dbirth-order"
                known.newest = metric.timestamp
            value = self._value(metric, known.datatype)
            self.told[device, known.name].append((metric.timestamp, value, metric.is_historical))

    def _value(self, metric: Any, datatype: int) -> Any:
        given = [name for name in _VALUES if metric.HasField(name)]
        if metric.is_null:
            assert not given, "data-publish-nbirth-values"
            return None
        assert given == [HOLDS[datatype]], "payloads-metric-datatype-value-type"
        value = getattr(metric, given[0])
        return value - (1 << 64) if datatype == 4 and value >> 63 else value

    def _properties(self, metric: Any) -> dict[str, Any]:
        keys, values = metric.properties.keys, metric.properties.values
        assert len(keys) == len(values), "payloads-propertyset-keys-array-size"
        assert all(value.type in {3, 12} for value in values), "payloads-metric-propertyvalue-type-req"
        return {
            key: value.string_value if value.type == 12 else int.from_bytes(value.int_value.to_bytes(4), signed=True)
            for key, value in zip(keys, values, strict=True)
        }
