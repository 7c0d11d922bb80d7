"""What the attributes of the rare COSEM classes are called and look like (IEC 62056-6-2).

Tables only: shapes are made in `shapes`, what is written or invoked is typed in `rare_types`.
"""

from typing import Final

from dcu.dlms.shapes import (
    ANY,
    BITS,
    DATE,
    FREE,
    MOMENT,
    NAME,
    NOTHING,
    NUMBER,
    OCTETS,
    TEXT,
    TIME,
    Either,
    Fields,
    Listed,
    Shape,
)

_SEASONS: Final = Listed(Fields(name=OCTETS, start=MOMENT, week=OCTETS))
_DAYS_OF_WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKS: Final = Listed(Fields(name=OCTETS, **dict.fromkeys(_DAYS_OF_WEEK, NUMBER)))
_SCRIPT: Final = Fields(script_table=NAME, selector=NUMBER)
_DAYS: Final = Listed(Fields(day=NUMBER, schedule=Listed(Fields(start=TIME, script_table=NAME, selector=NUMBER))))
SPECIAL_DAY: Final = Fields(index=NUMBER, date=DATE, day=NUMBER)
_MONITORED: Final = Fields(class_id=NUMBER, name=NAME, attribute=NUMBER)
_ACTION: Final = Fields(service=NUMBER, class_id=NUMBER, name=NAME, index=NUMBER, parameter=FREE)
_COLUMN: Final = {"class_id": NUMBER, "name": NAME, "attribute": NUMBER, "data_index": NUMBER}
_RESTRICTION: Final = Fields(
    type=NUMBER,
    limits=Either((NOTHING, Fields(from_entry=NUMBER, to_entry=NUMBER), Fields(from_date=MOMENT, to_date=MOMENT))),
)
#: Versions 0, 1 and 2 of the class.
_PUSHED: Final = Either(
    (
        Fields(**_COLUMN),
        Fields(**_COLUMN, restriction=_RESTRICTION),
        Fields(**_COLUMN, restriction=_RESTRICTION, columns=Listed(Fields(**_COLUMN))),
    )
)
_KEY_INFO: Final = Fields(
    type=NUMBER,
    options=Either((NUMBER, Fields(kek=NUMBER, ciphered_key=OCTETS), Fields(parameters=OCTETS, ciphered_key=OCTETS))),
)
_PROTECTION: Final = Fields(
    type=NUMBER,
    options=Fields(transaction=OCTETS, originator=OCTETS, recipient=OCTETS, other=OCTETS, key_info=_KEY_INFO),
)
_CERTIFICATE: Final = Fields(
    entity=NUMBER, type=NUMBER, serial=OCTETS, issuer=OCTETS, subject=OCTETS, alternative_name=OCTETS
)
_RIGHTS: Final = Fields(
    attributes=Listed(Fields(attribute=NUMBER, mode=NUMBER, selectors=Either((NOTHING, Listed(NUMBER))))),
    methods=Listed(Fields(method=NUMBER, mode=NUMBER)),
)
_ARCS: Final = ("iso", "country", "country_name", "organization", "dlms_ua", "kind", "id")
#: An object identifier, BER encoded or arc by arc.
_IDENTIFIER: Final = Either((OCTETS, Fields(**dict.fromkeys(_ARCS, NUMBER))))
USER: Final = Fields(id=NUMBER, name=OCTETS)
LOGICAL_DEVICE: Final = Fields(sap=NUMBER, name=OCTETS)
CHARGES: Final = Listed(Fields(index=OCTETS, charge=NUMBER))
_UNIT_CHARGE: Final = Fields(
    scaling=Fields(commodity_scale=NUMBER, price_scale=NUMBER),
    commodity=_MONITORED,
    table=CHARGES,
)

#: By class and attribute: the word for it, and its shape.
ATTRIBUTES: Final[dict[int, dict[int, tuple[str, Shape]]]] = {
    9: {2: ("scripts", Listed(Fields(script=NUMBER, actions=Listed(_ACTION))))},
    11: {2: ("days", Listed(SPECIAL_DAY))},
    15: {
        2: ("objects", Listed(Fields(class_id=NUMBER, version=NUMBER, name=NAME, access=_RIGHTS))),
        3: ("partners", Fields(client=NUMBER, server=NUMBER)),
        4: ("application_context", _IDENTIFIER),
        5: (
            "xdlms_context",
            Fields(
                conformance=BITS,
                max_receive=NUMBER,
                max_send=NUMBER,
                version=NUMBER,
                quality=NUMBER,
                dedicated_key=OCTETS,
            ),
        ),
        6: ("mechanism", _IDENTIFIER),
        8: ("status", NUMBER),
        9: ("security_setup", NAME),
        10: ("users", Listed(USER)),
        11: ("current_user", USER),
    },
    17: {2: ("devices", Listed(LOGICAL_DEVICE))},
    18: {
        2: ("block_size", NUMBER),
        3: ("blocks_transferred", BITS),
        4: ("first_block_missing", NUMBER),
        5: ("enabled", NUMBER),
        6: ("status", NUMBER),
        7: ("to_activate", Listed(Fields(size=NUMBER, identification=OCTETS, signature=OCTETS))),
    },
    20: {
        2: ("active_name", OCTETS),
        3: ("active_seasons", _SEASONS),
        4: ("active_weeks", _WEEKS),
        5: ("active_days", _DAYS),
        6: ("passive_name", OCTETS),
        7: ("passive_seasons", _SEASONS),
        8: ("passive_weeks", _WEEKS),
        9: ("passive_days", _DAYS),
        10: ("activation", MOMENT),
    },
    21: {
        2: ("thresholds", Listed(ANY)),
        3: ("monitored", _MONITORED),
        4: ("actions", Listed(Fields(up=_SCRIPT, down=_SCRIPT))),
    },
    22: {2: ("script", _SCRIPT), 3: ("type", NUMBER), 4: ("times", Listed(Fields(time=TIME, date=DATE)))},
    40: {
        2: ("objects", Listed(_PUSHED)),
        3: ("destination", Fields(service=NUMBER, destination=OCTETS, message=NUMBER)),
        4: ("windows", Listed(Fields(start=MOMENT, end=MOMENT))),
        5: ("randomisation", NUMBER),
        6: ("retries", NUMBER),
        7: ("retry_delay", Either((NUMBER, Fields(least=NUMBER, exponent=NUMBER, most=NUMBER)))),
        8: ("port", NAME),
        9: ("client", NUMBER),
        10: ("protection", Listed(_PROTECTION)),
        11: ("operation", NUMBER),
        12: ("confirmation", Fields(start=MOMENT, interval=NUMBER)),
        13: ("last_confirmation", MOMENT),
    },
    64: {
        2: ("policy", NUMBER),
        3: ("suite", NUMBER),
        4: ("client_title", OCTETS),
        5: ("meter_title", OCTETS),
        6: ("certificates", Listed(_CERTIFICATE)),
    },
    71: {
        2: ("monitored", _MONITORED),
        3: ("threshold_active", ANY),
        4: ("threshold_normal", ANY),
        5: ("threshold_emergency", ANY),
        6: ("over_duration", NUMBER),
        7: ("under_duration", NUMBER),
        8: ("emergency", Fields(profile=NUMBER, activation=MOMENT, duration=NUMBER)),
        9: ("emergency_groups", Listed(NUMBER)),
        10: ("emergency_active", NUMBER),
        11: ("actions", Fields(over=_SCRIPT, under=_SCRIPT)),
    },
    111: {
        2: ("mode", Fields(payment=NUMBER, status=NUMBER)),
        3: ("credit_in_use", NUMBER),
        4: ("credit_status", BITS),
        5: ("available_credit", NUMBER),
        6: ("amount_to_clear", NUMBER),
        7: ("clearance_threshold", NUMBER),
        8: ("aggregated_debt", NUMBER),
        9: ("credits", Listed(NAME)),
        10: ("charges", Listed(NAME)),
        11: ("collection", Listed(Fields(credit=NAME, charge=NAME, configuration=BITS))),
        12: ("gateway", Listed(Fields(credit=NAME, proportion=NUMBER))),
        13: ("activation", MOMENT),
        14: ("closure", MOMENT),
        15: ("currency", Fields(name=TEXT, scale=NUMBER, unit=NUMBER)),
        16: ("low_credit", NUMBER),
        17: ("next_credit", NUMBER),
        18: ("max_provision", NUMBER),
        19: ("max_provision_period", NUMBER),
    },
    112: {
        2: ("amount", NUMBER),
        3: ("type", NUMBER),
        4: ("priority", NUMBER),
        5: ("warning", NUMBER),
        6: ("limit", NUMBER),
        7: ("configuration", BITS),
        8: ("status", NUMBER),
        9: ("preset", NUMBER),
        10: ("available", NUMBER),
        11: ("period", MOMENT),
    },
    113: {
        2: ("total_paid", NUMBER),
        3: ("type", NUMBER),
        4: ("priority", NUMBER),
        5: ("active_unit_charge", _UNIT_CHARGE),
        6: ("passive_unit_charge", _UNIT_CHARGE),
        7: ("activation", MOMENT),
        8: ("period", NUMBER),
        9: ("configuration", BITS),
        10: ("last_collected_at", MOMENT),
        11: ("last_collected", NUMBER),
        12: ("remaining", NUMBER),
        13: ("proportion", NUMBER),
    },
    115: {
        2: ("token", OCTETS),
        3: ("time", MOMENT),
        4: ("description", Listed(OCTETS)),
        5: ("delivery", NUMBER),
        6: ("status", Fields(code=NUMBER, data=BITS)),
    },
}
