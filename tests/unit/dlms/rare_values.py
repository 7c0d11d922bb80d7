"""Attributes of rare objects: their octets by hand after the Blue Book, and the plain form that stands for them."""

from typing import Any

ANY_YEAR, CHRISTMAS = "090cffff0401ffffffffff8000ff", "090c07ea0c1905060000ff800000"
CET = "090c07ea0c19ff060000ffffc480"
SCRIPT = "0202 0906 00000a0064ff 12 0001"
TARIFF = "0906 00000a0064ff 12 0001"
REGISTER = "12 0003 0906 0100010700ff 0f02"
PLAIN_SCRIPT = {"script_table": "0-0:10.0.100.255", "selector": 1}
MONITORED = {"class_id": 3, "name": "1-0:1.7.0.255", "attribute": 2}
COLUMN = "12 0003 0906 0100010800ff 0f02 12 0000"
PLAIN_COLUMN = {"class_id": 3, "name": "1-0:1.8.0.255", "attribute": 2, "data_index": 0}
PLAIN_CHRISTMAS = "2026-12-25/5 06:00:00 status=00"
NONE = {"hex": ""}
OPTIONS = {"transaction": {"hex": "01"}, "originator": NONE, "recipient": NONE, "other": NONE}

#: Class, attribute, octets by hand after the Blue Book, plain form: read gives the one, encode the other.
WRITABLE: list[tuple[int, int, str, Any]] = [
    (11, 2, "0101 0203 12 0001 0905 ffff0c19ff 1102", [{"index": 1, "date": "*-12-25", "day": 2}]),
    (11, 2, "0101 0203 12 0002 0905 07ea010104 1102", [{"index": 2, "date": "2026-01-01/4", "day": 2}]),
    (11, 2, "0100", []),
    (17, 2, "0101 0202 12 0001 0903 4c4431", [{"sap": 1, "name": "LD1"}]),
    (18, 5, "0301", True),
    (20, 6, "0906 53554d4d4552", "SUMMER"),
    (
        20,
        7,
        f"0102 0203 0901 01 {ANY_YEAR} 0901 01 0203 0901 02 {CHRISTMAS} 0901 01",
        [
            {"name": {"hex": "01"}, "start": "*-04-01 *:*:*", "week": {"hex": "01"}},
            {"name": {"hex": "02"}, "start": "2026-12-25/5 06:00:00 status=00", "week": {"hex": "01"}},
        ],
    ),
    (
        20,
        8,
        "0101 0208 0901 41 1101 1101 1101 1101 1101 1102 1103",
        [
            {"name": "A", "monday": 1, "tuesday": 1, "wednesday": 1, "thursday": 1}
            | {"friday": 1, "saturday": 2, "sunday": 3}
        ],
    ),
    (
        20,
        9,
        f"0101 0202 1101 0102 0203 0904 06000000 {TARIFF} 0203 0904 160000ff {TARIFF}",
        [
            {
                "day": 1,
                "schedule": [
                    {"start": "06:00:00.00", "script_table": "0-0:10.0.100.255", "selector": 1},
                    {"start": "22:00:00", "script_table": "0-0:10.0.100.255", "selector": 1},
                ],
            }
        ],
    ),
    (20, 10, CET, "2026-12-25 06:00:00 +01:00 status=80"),
    (21, 2, "0102 06 00000001 06 00000002", [1, 2]),
    (22, 2, SCRIPT, PLAIN_SCRIPT),
    (22, 3, "1601", 1),
    (22, 4, "0101 0202 0904 000000ff 0905 ffffff01ff", [{"time": "00:00:00", "date": "*-*-01"}]),
    (
        40,
        2,
        "0101 0204 12 0003 0906 0100010800ff 0f02 12 0000",
        [{"class_id": 3, "name": "1-0:1.8.0.255", "attribute": 2, "data_index": 0}],
    ),
    (
        40,
        3,
        "0203 1600 090d 31302e302e302e313a34303539 1600",
        {"service": 0, "destination": "10.0.0.1:4059", "message": 0},
    ),
    (
        40,
        4,
        f"0101 0202 {ANY_YEAR} {CHRISTMAS}",
        [{"start": "*-04-01 *:*:*", "end": "2026-12-25/5 06:00:00 status=00"}],
    ),
    (40, 5, "12001e", 30),
    (40, 6, "1103", 3),
    (40, 7, "12000a", 10),
    (71, 4, "06000003e8", 1000),
    (71, 5, "06000003e8", 1000),
    (71, 6, "060000000a", 10),
    (71, 7, "060000000a", 10),
    (
        71,
        8,
        f"0203 12 0001 {CHRISTMAS} 06 0000003c",
        {"profile": 1, "activation": "2026-12-25/5 06:00:00 status=00", "duration": 60},
    ),
    (71, 9, "0102 12 0001 12 0002", [1, 2]),
    (71, 11, f"0202 {SCRIPT} {SCRIPT}", {"over": PLAIN_SCRIPT, "under": PLAIN_SCRIPT}),
    (111, 13, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (111, 14, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (111, 15, "0203 0c03 455552 0ffe 1600", {"name": "EUR", "scale": -2, "unit": 0}),
    (111, 16, "05 00000005", 5),
    (111, 17, "05 fffffffb", -5),
    (112, 11, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (113, 7, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (115, 2, "0902 0102", {"hex": "0102"}),
    (
        9,
        2,
        (
            "0101 0202 12 0001 0103 0205 1602 12 0014 0906 00000d0000ff 0f01 0f00"
            " 0205 1601 12 0003 0906 0100010700ff 0f02 10 0100 0205 1601 12 0001 0906 0100010700ff 0f02 0901 07"
        ),
        [
            {
                "script": 1,
                "actions": [
                    {"service": 2, "class_id": 20, "name": "0-0:13.0.0.255", "index": 1, "parameter": 0},
                    {"service": 1, "class_id": 3, "name": "1-0:1.7.0.255", "index": 2, "parameter": 256},
                    {"service": 1, "class_id": 1, "name": "1-0:1.7.0.255", "index": 2, "parameter": {"hex": "07"}},
                ],
            }
        ],
    ),
    (21, 3, f"0203 {REGISTER}", MONITORED),
    (21, 4, f"0101 0202 {SCRIPT} {SCRIPT}", [{"up": PLAIN_SCRIPT, "down": PLAIN_SCRIPT}]),
    (40, 2, f"0101 0205 {COLUMN} 0202 1600 00", [PLAIN_COLUMN | {"restriction": {"type": 0, "limits": None}}]),
    (
        40,
        2,
        (
            f"0102 0206 {COLUMN} 0202 1602 0202 06 00000001 06 00000009 0101 0204 {COLUMN}"
            f" 0206 {COLUMN} 0202 1601 0202 {ANY_YEAR} {CHRISTMAS} 0100"
        ),
        [
            PLAIN_COLUMN
            | {"restriction": {"type": 2, "limits": {"from_entry": 1, "to_entry": 9}}, "columns": [PLAIN_COLUMN]},
            PLAIN_COLUMN
            | {
                "restriction": {"type": 1, "limits": {"from_date": "*-04-01 *:*:*", "to_date": PLAIN_CHRISTMAS}},
                "columns": [],
            },
        ],
    ),
    (40, 7, "0203 12 0001 12 0064 12 003c", {"least": 1, "exponent": 100, "most": 60}),
    (40, 8, "0906 0000190000ff", "0-0:25.0.0.255"),
    (40, 9, "0f40", 64),
    (
        40,
        10,
        (
            "0103 0202 1600 0205 0901 01 0900 0900 0900 0202 1600 1600"
            " 0202 1601 0205 0901 01 0900 0900 0900 0202 1601 0202 1600 0901 aa"
            " 0202 1602 0205 0901 01 0900 0900 0900 0202 1602 0202 0901 bb 0901 cc"
        ),
        [
            {"type": 0, "options": OPTIONS | {"key_info": {"type": 0, "options": 0}}},
            {
                "type": 1,
                "options": OPTIONS | {"key_info": {"type": 1, "options": {"kek": 0, "ciphered_key": {"hex": "aa"}}}},
            },
            {
                "type": 2,
                "options": OPTIONS
                | {
                    "key_info": {
                        "type": 2,
                        "options": {"parameters": {"hex": "bb"}, "ciphered_key": {"hex": "cc"}},
                    }
                },
            },
        ],
    ),
    (40, 11, "1601", 1),
    (40, 12, f"0202 {CHRISTMAS} 06 0000003c", {"start": PLAIN_CHRISTMAS, "interval": 60}),
    (64, 4, "0908 4d54523030303031", "MTR00001"),
    (71, 2, f"0203 {REGISTER}", MONITORED),
    (111, 7, "05 00000005", 5),
    (111, 9, "0101 0906 0000130a00ff", ["0-0:19.10.0.255"]),
    (111, 10, "0101 0906 0000131400ff", ["0-0:19.20.0.255"]),
    (
        111,
        11,
        "0101 0203 0906 0000130a00ff 0906 0000131400ff 0403 80",
        [{"credit": "0-0:19.10.0.255", "charge": "0-0:19.20.0.255", "configuration": "100"}],
    ),
    (111, 12, "0101 0202 0906 0000130a00ff 1164", [{"credit": "0-0:19.10.0.255", "proportion": 100}]),
    (111, 18, "12 0064", 100),
    (111, 19, "05 00000e10", 3600),
    (112, 4, "1101", 1),
    *((112, attribute, "05 fffffff6", -10) for attribute in (5, 6, 9, 10)),
    (112, 7, "0405 80", "10000"),
    (113, 4, "1102", 2),
    (
        113,
        6,
        f"0203 0202 0ffe 0f00 0203 {REGISTER} 0101 0202 0901 01 10 0003",
        {
            "scaling": {"commodity_scale": -2, "price_scale": 0},
            "commodity": MONITORED,
            "table": [{"index": {"hex": "01"}, "charge": 3}],
        },
    ),
    (113, 8, "06 00015180", 86_400),
    (113, 9, "0402 40", "01"),
    (113, 13, "12 0064", 100),
]
READABLE: list[tuple[int, int, str, Any]] = [
    (
        15,
        2,
        "0101 0204 12 0003 11 00 0906 0100010800ff 0202 0101 0203 0f01 1601 00 0101 0202 0f01 0300",
        [
            {
                "class_id": 3,
                "version": 0,
                "name": "1-0:1.8.0.255",
                "access": {
                    "attributes": [{"attribute": 1, "mode": 1, "selectors": None}],
                    "methods": [{"method": 1, "mode": False}],
                },
            }
        ],
    ),
    (15, 3, "0202 0f10 12 0001", {"client": 16, "server": 1}),
    (15, 4, "0907 60857405080101", {"hex": "60857405080101"}),
    (
        15,
        6,
        "0207 1102 1110 12 02f4 1105 1108 1102 1105",
        {"iso": 2, "country": 16, "country_name": 756, "organization": 5, "dlms_ua": 8, "kind": 2, "id": 5},
    ),
    (
        15,
        5,
        "0206 0418 00001d 12 0400 12 0400 1106 0f00 0900",
        {
            "conformance": "000000000000000000011101",
            "max_receive": 1024,
            "max_send": 1024,
            "version": 6,
            "quality": 0,
            "dedicated_key": NONE,
        },
    ),
    (15, 10, "0101 0202 1101 0903 416e6e", [{"id": 1, "name": "Ann"}]),
    (15, 11, "0202 1101 0903 416e6e", {"id": 1, "name": "Ann"}),
    (
        64,
        6,
        "0101 0206 1600 1600 0901 07 0902 4341 0902 4d31 0900",
        [{"entity": 0, "type": 0, "serial": {"hex": "07"}, "issuer": "CA", "subject": "M1", "alternative_name": NONE}],
    ),
    (40, 13, CHRISTMAS, PLAIN_CHRISTMAS),
    (18, 3, "0404 50", "0101"),
    (
        18,
        7,
        "0101 0203 06 00000064 0902 4657 0901 01",
        [{"size": 100, "identification": "FW", "signature": {"hex": "01"}}],
    ),
    (64, 2, "1603", 3),
    (115, 6, "0202 1600 0402 40", {"code": 0, "data": "01"}),
]
