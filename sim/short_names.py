"""The short names of an old simulated meter: which attribute each one is, and the object list that tells them.

Old meters are of the kind IDIS. What attributes hold is in `sim.objects`, which knows logical names only; who may ask
is decided in `sim.server`.
"""

from typing import Final

from dcu.dlms import axdr
from dcu.dlms.axdr import Typed
from dcu.dlms.short_names import OBJECT_LIST
from dcu.model import Attribute
from sim.models import IDIS
from sim.objects import ASSOCIATION, ASSOCIATION_LN, CLASSES, SHAPES, VERSIONS

ASSOCIATION_SN: Final = 12
_ASSOCIATION_BASE: Final = OBJECT_LIST.name - 8
_FIRST_BASE: Final = 0x0100
_STEP: Final = 8


def _bases(phases: int) -> dict[int, tuple[int, bytes]]:
    """Return class and logical name of every object by its base name; its methods follow its attributes."""
    bases = {}
    base = _FIRST_BASE
    for name, class_id in CLASSES[IDIS, phases].items():
        if class_id != ASSOCIATION_LN:
            bases[base] = class_id, name
            base += _STEP * sum(SHAPES[class_id])
    return {**bases, _ASSOCIATION_BASE: (ASSOCIATION_SN, ASSOCIATION)}


#: By number of phases: the objects of a meter by their base names.
BASES: Final = {phases: _bases(phases) for _, phases in CLASSES}


def _attributes(phases: int) -> dict[int, Attribute]:
    return {
        base + _STEP * (index - 1): Attribute(class_id, name, index)
        for base, (class_id, name) in BASES[phases].items()
        if class_id != ASSOCIATION_SN
        for index in range(1, SHAPES[class_id][0] + 1)
    }


#: By number of phases: the attributes of a meter by their short names, but for the association's.
ATTRIBUTES: Final = {phases: _attributes(phases) for phases in BASES}


def object_list(phases: int) -> Typed:
    """Return attribute 2 of the association (IEC 62056-6-2, class 12): base name, class, version, logical name."""
    return axdr.array(*(_element(base, *each) for base, each in BASES[phases].items()))


def _element(base: int, class_id: int, name: bytes) -> Typed:
    signed = base - 0x10000 if base & 0x8000 else base
    version = axdr.u8(VERSIONS.get(class_id, 0))
    return axdr.structure(axdr.i16(signed), axdr.u16(class_id), version, axdr.octets(name))
