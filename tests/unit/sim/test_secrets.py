"""A simulated meter takes new secrets only from those who may, all or none, and from the next association on."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.renewal import SECURITY_SETUP, KeyId, change_password, transfer_keys
from dcu.dlms.services import AccessError, Action
from dcu.errors import RefusedError
from dcu.model import Access, Attribute, Authentication
from sim import server
from tests.unit.sim.conversation import KEYS, hdlc, meter

MASTER = b"m" * 16
WITH_MASTER = replace(KEYS, master_key=MASTER)
NEW = {KeyId.UNICAST_ENCRYPTION: b"E" * 16, KeyId.AUTHENTICATION: b"A" * 16}
DENIED, UNMATCHED = AccessError(3), AccessError(12)


def test_new_keys_count_from_the_next_association_on() -> None:
    simulated = meter(keys=WITH_MASTER)
    talk = hdlc(simulated)
    talk.open()
    assert talk.ask(transfer_keys(NEW, MASTER)) == [None]
    # this association goes on as it was agreed
    assert talk.get(Attribute(*SECURITY_SETUP, 3)) == [0]
    talk.close()
    with pytest.raises(RefusedError):
        hdlc(simulated).open()
    changed = replace(KEYS, encryption_key=b"E" * 16, authentication_key=b"A" * 16)
    hdlc(simulated, keys=changed).open()
    assert simulated.keys == replace(changed, master_key=MASTER)


@pytest.mark.parametrize(
    ("keys", "master", "answer"),
    [
        (NEW, b"x" * 16, DENIED),
        ({KeyId.UNICAST_ENCRYPTION: b"E" * 16, KeyId.AUTHENTICATION: b"A" * 32}, MASTER, UNMATCHED),
        ({KeyId.UNICAST_ENCRYPTION: b"E" * 16, KeyId.BROADCAST_ENCRYPTION: b"B" * 16}, MASTER, UNMATCHED),
    ],
)
def test_keys_that_do_not_fit_change_none_of_them(keys: Any, master: bytes, answer: AccessError) -> None:
    simulated = meter(keys=WITH_MASTER)
    talk = hdlc(simulated)
    talk.open()
    assert talk.ask(transfer_keys(keys, master)) == [answer]
    assert simulated.keys == WITH_MASTER


@pytest.mark.parametrize(
    "argument",
    [axdr.u8(1), axdr.array(axdr.u8(1)), axdr.array(axdr.structure(axdr.enum(0), axdr.octets(b"short")))],
)
def test_what_are_no_keys_changes_nothing(argument: axdr.Typed) -> None:
    simulated = meter(keys=WITH_MASTER)
    talk = hdlc(simulated)
    talk.open()
    assert talk.ask(Action(*SECURITY_SETUP, 2, argument)) in ([UNMATCHED], [DENIED])
    assert simulated.keys == WITH_MASTER


@pytest.mark.parametrize("access", [server.READER, *server.OTHERS[:2]], ids=lambda access: access.name)
def test_who_knows_the_password_may_change_it(access: Access) -> None:
    simulated = meter()
    talk = hdlc(simulated, access)
    talk.open()
    assert talk.ask(change_password(b"new", access.authentication)) == [None]
    with pytest.raises(RefusedError):
        hdlc(simulated, access).open()
    hdlc(simulated, access, replace(KEYS, password=b"new")).open()


@pytest.mark.parametrize(
    ("access", "authentication", "password", "answer"),
    [
        (server.PUBLIC, Authentication.LLS, b"new", DENIED),
        (server.MANAGEMENT, Authentication.LLS, b"new", DENIED),
        (server.READER, Authentication.HLS_MD5, b"new", DENIED),
        (server.READER, Authentication.LLS, b"", UNMATCHED),
        (server.READER, Authentication.LLS, b"n" * 65, UNMATCHED),
    ],
)
def test_others_may_not_nor_what_is_none(
    access: Access, authentication: Authentication, password: bytes, answer: AccessError
) -> None:
    simulated = meter()
    talk = hdlc(simulated, access)
    talk.open()
    assert talk.ask(change_password(password, authentication)) == [answer]
    assert simulated.keys.password == KEYS.password


def test_a_reader_may_not_transfer_keys() -> None:
    simulated = meter(keys=WITH_MASTER)
    talk = hdlc(simulated, server.READER)
    talk.open()
    assert talk.ask(transfer_keys(NEW, MASTER)) == [DENIED]
    assert simulated.keys == WITH_MASTER
