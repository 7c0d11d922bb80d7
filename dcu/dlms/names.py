"""What COSEM classes, data types and logical names are called by people (IEC 62056-6-2; IEC 62056-6-1, OBIS).

Units are in `cosem` and access results in `services`; nothing here decides anything, it only helps a reader.
"""

from typing import Final

from dcu.dlms.moment import DateTime

#: Interface classes by class id (IEC 62056-6-2, clause 4 and after).
CLASSES: Final = {
    1: "Data",
    3: "Register",
    4: "ExtendedRegister",
    5: "DemandRegister",
    6: "RegisterActivation",
    7: "ProfileGeneric",
    8: "Clock",
    9: "ScriptTable",
    10: "Schedule",
    11: "SpecialDaysTable",
    12: "AssociationSN",
    15: "AssociationLN",
    17: "SapAssignment",
    18: "ImageTransfer",
    19: "IecLocalPortSetup",
    20: "ActivityCalendar",
    21: "RegisterMonitor",
    22: "SingleActionSchedule",
    23: "IecHdlcSetup",
    40: "PushSetup",
    41: "TcpUdpSetup",
    42: "Ipv4Setup",
    43: "MacAddressSetup",
    45: "GprsSetup",
    47: "GsmDiagnostic",
    61: "RegisterTable",
    62: "CompactData",
    64: "SecuritySetup",
    68: "Arbitrator",
    70: "DisconnectControl",
    71: "Limiter",
    72: "MBusClient",
    111: "Account",
    112: "Credit",
    113: "Charge",
    115: "TokenGateway",
}

#: Tags of the Data type (IEC 62056-6-2, 4.1.5).
TYPES: Final = {
    0: "null-data",
    1: "array",
    2: "structure",
    3: "boolean",
    4: "bit-string",
    5: "double-long",
    6: "double-long-unsigned",
    9: "octet-string",
    10: "visible-string",
    12: "utf8-string",
    13: "bcd",
    15: "integer",
    16: "long",
    17: "unsigned",
    18: "long-unsigned",
    19: "compact-array",
    20: "long64",
    21: "long64-unsigned",
    22: "enum",
    23: "float32",
    24: "float64",
    25: "date-time",
    26: "date",
    27: "time",
    28: "delta-integer",
    29: "delta-long",
    30: "delta-double-long",
    31: "delta-unsigned",
    32: "delta-long-unsigned",
    33: "delta-double-long-unsigned",
}

_OBJECTS: Final = {
    (0, 1, 0): "clock",
    (0, 10, 0): "script table",
    (0, 11, 0): "special days",
    (0, 13, 0): "activity calendar",
    (0, 15, 0): "single action schedule",
    (0, 17, 0): "limiter",
    (0, 19, 0): "account",
    (0, 19, 10): "credit",
    (0, 19, 20): "charge",
    (0, 19, 40): "token gateway",
    (0, 25, 9): "push set-up",
    (0, 40, 0): "association",
    (0, 41, 0): "SAP assignment",
    (0, 42, 0): "COSEM logical device name",
    (0, 43, 0): "security set-up",
    (0, 43, 1): "invocation counter",
    (0, 44, 0): "image transfer",
    (0, 96, 1): "device id",
    (0, 96, 3): "disconnect control",
    (0, 96, 11): "event code",
    (0, 97, 97): "error register",
    (0, 97, 98): "alarm register",
    (0, 98, 1): "billing profile",
    (0, 99, 98): "event log",
    (1, 0, 2): "firmware version",
    (1, 98, 1): "billing profile",
    (1, 99, 1): "load profile 1",
    (1, 99, 2): "load profile 2",
    (1, 99, 3): "load profile 3",
}
#: Value group C of electricity, for the sum of the phases; 20, 40 and 60 more are L1, L2 and L3.
_QUANTITIES: Final = {
    1: "active {} import",
    2: "active {} export",
    3: "reactive {} import",
    4: "reactive {} export",
    5: "reactive {} Q1",
    6: "reactive {} Q2",
    7: "reactive {} Q3",
    8: "reactive {} Q4",
    9: "apparent {} import",
    10: "apparent {} export",
    11: "current",
    12: "voltage",
    13: "power factor",
    14: "frequency",
}
_PROCESSING: Final = {4: "current average", 5: "last average", 6: "maximum", 7: "", 8: "", 9: "", 29: "per interval"}
#: Time integrals (group D): what they integrate is an energy.
_INTEGRALS: Final = {8, 9, 29}
_ELECTRICITY: Final = 1


def object_name(name: bytes) -> str:
    """Return what the object of a six-octet logical name usually is, "" when that is not known."""
    a, _, c, d, e, _ = name
    if (known := _OBJECTS.get((a, c, d))) is not None:
        return known
    phase, quantity = divmod(c, 20)
    if a != _ELECTRICITY or phase > 3 or quantity not in _QUANTITIES or d not in _PROCESSING:
        return ""
    words = [_QUANTITIES[quantity].format("energy" if d in _INTEGRALS else "power"), _PROCESSING[d]]
    words += [f"L{phase}" if phase else "", f"tariff {e}" if e and d in _INTEGRALS else ""]
    return " ".join(filter(None, words))


def moment_text(moment: DateTime) -> str:
    """Return a date-time as people write it; what is not specified is `*`, special days keep their code."""
    date = "-".join((part_text(moment.year, 0xFFFF, 4), part_text(moment.month), part_text(moment.day)))
    time = ":".join(map(part_text, (moment.hour, moment.minute, moment.second)))
    zone = "" if moment.deviation is None else " UTC{}{:02d}:{:02d}".format(*_offset(moment.deviation))
    flags = ("invalid", "doubtful", "other clock base", "invalid status", "", "", "", "daylight saving")
    status = (
        [] if moment.status == 0xFF else [flag for bit, flag in enumerate(flags) if flag and moment.status >> bit & 1]
    )
    weekday = "" if moment.weekday == 0xFF else f", weekday {moment.weekday}"
    return f"{date} {time}{zone}{weekday}" + "".join(f", {flag}" for flag in status)


def _offset(deviation: int) -> tuple[str, int, int]:
    hours, minutes = divmod(abs(deviation), 60)
    return "-" if deviation > 0 else "+", hours, minutes


def part_text(value: int, wildcard: int = 0xFF, width: int = 2) -> str:
    """Return one field of a date or time, `*` for its wildcard."""
    return "*" if value == wildcard else f"{value:0{width}d}"
