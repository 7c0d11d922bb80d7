"""A client and a meter under each mechanism, suite and form of ciphering, and a way between them for lies.

What is lied, and what has to come of it, is in the tests.
"""

from collections.abc import Callable
from itertools import count, cycle
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.apdu import encode_response
from dcu.dlms.association import Associated, Association, Response
from dcu.dlms.authentication import HIGH_LEVEL
from dcu.dlms.general_ciphering import SCHEMES
from dcu.dlms.link import Transmit
from dcu.dlms.security import Cipher
from dcu.dlms.services import Get, GetResponse, Request
from dcu.model import AGREED, KEY_OCTETS, Access, Attribute, Authentication, Ciphering
from sim.meter import SERIAL_NUMBER
from sim.server import ServerAssociation
from tests.unit.sim.conversation import CLIENT_TITLE, NOW, meter
from tests.unit.sim.test_guard import keys_of

from .fake import BareLink

SERIAL = Get(Attribute(1, SERIAL_NUMBER))
DEDICATED = {Ciphering.DED, Ciphering.GENERAL_DED}
GENERAL = {*Ciphering} - {Ciphering.GLO, Ciphering.DED}

MECHANISMS = [
    Access("a", 1, mechanism, ciphered=True, suite=suite)
    for mechanism in (Authentication.NONE, Authentication.LLS, *sorted(HIGH_LEVEL))
    for suite in KEY_OCTETS
    if suite or mechanism is not Authentication.HLS_ECDSA
]
FORMS = [
    Access("a", 1, Authentication.HLS_GMAC, ciphered=True, suite=suite, ciphering=form)
    for form in (Ciphering.DED, Ciphering.GENERAL_GLO, Ciphering.GENERAL_DED, Ciphering.GENERAL, *sorted(AGREED))
    for suite in KEY_OCTETS
    if suite or form not in AGREED
]
PROVEN = [Access("a", 1, mechanism, suite=1) for mechanism in sorted(HIGH_LEVEL)]
CLEAR = [Access("a", 1), Access("a", 1, Authentication.LLS), *PROVEN]
CHALLENGED = [access for access in MECHANISMS + FORMS + PROVEN if access.authentication in HIGH_LEVEL]


def named(access: Access) -> str:
    return f"{access.authentication.name}-{access.suite}-{access.ciphering if access.ciphered else 'clear'}"


Lie = Callable[["Truth", bytes], bytes]


def honest(_: "Truth", apdu: bytes) -> bytes:
    return apdu


class Truth:
    """A meter and what we remember of it over associations. `said` is what the meter said, before any lie."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.keys, self.meter_keys = keys_of(access.suite)
        self.meter = meter(keys=self.meter_keys, suite=access.suite)
        self.server = ServerAssociation(self.meter, access)
        self.counter = count(1)
        self.invokes = cycle(range(16))
        self.heard: dict[bytes, int] = {}
        self.said: list[bytes] = []
        self.association = self.anew()

    def anew(self) -> Association:
        association = Association(
            BareLink(),
            self.access,
            self.keys,
            client_title=CLIENT_TITLE,
            take_counter=self.counter.__next__,
            heard=self.heard,
        )
        association.take_invoke = self.invokes.__next__
        return association

    def exchange(self, data: bytes, lie: Lie = honest) -> Any:
        """Return the event that `data` leads to; `lie` changes all that the meter says."""
        while True:
            self.said.append(self.server.answer(data, NOW))
            self.association.receive_data(lie(self, self.said[-1]))
            event = self.association.next_event()
            if not isinstance(event, Transmit):
                return event
            data = event.data

    def connect(self, lie: Lie = honest) -> Any:
        self.association = self.anew()
        return self.exchange(self.association.connect(), lie)

    def ask(self, lie: Lie = honest, request: Request = SERIAL) -> Any:
        return self.exchange(self.association.send(request), lie)

    def sealed(
        self, title: bytes, form: Ciphering, invoke: int, counter: int | None = None, plain: bytes = b""
    ) -> bytes:
        """A well-made answer (`plain`, if that is given), by somebody who has all the keys."""
        used = self.meter.take_counter() if counter is None else counter
        cipher = Cipher(self.meter_keys, title, lambda: used, suite=self.access.suite)
        if form in DEDICATED:
            cipher.dedicate(self.association._protection._dedicated)
        if form in SCHEMES:
            cipher.agree_by(SCHEMES[form])
        ours = self.association._protection._cipher
        assert ours is not None
        cipher.peer, cipher._asked = CLIENT_TITLE, ours._transaction
        return cipher.protect(plain or self.plain(invoke), form)

    def plain(self, invoke: int) -> bytes:
        return encode_response(GetResponse(axdr.u8(7)), invoke)

    @property
    def invoke(self) -> int:
        return self.association._invoke

    def holds(self) -> None:
        """The association is closed, and a new one works."""
        with pytest.raises(RuntimeError, match="CLOSED"):
            self.association.send(SERIAL)
        assert isinstance(self.connect(), Associated)
        assert self.ask() == Response([self.meter.identity[SERIAL_NUMBER]])
