import pytest

from dcu.messages.commands import MAX_COMMAND, parse_command
from dcu_headend import commands


def test_a_command_is_what_the_daemon_takes() -> None:
    identity, payload = commands.command(
        "meter.read", ["M0001"], {"profile": "load0", "from": 1, "to": 2}, expires=1_769_860_830.5
    )
    command = parse_command(payload, door="mqtt", received=1.0)
    assert (command.id, command.name, command.meters) == (identity, "meter.read", ("M0001",))
    assert command.args == {"profile": "load0", "from": 1, "to": 2}
    assert command.expires == 1_769_860_830


def test_without_meters_and_under_an_id_of_ones_own() -> None:
    assert commands.command("dcu.ping", id="a:1") == ("a:1", b'{"id":"a:1","name":"dcu.ping","args":{}}')
    assert commands.command("dcu.ping")[0] != commands.command("dcu.ping")[0]


@pytest.mark.parametrize("identity", ["", "a b", "x" * 65])
def test_an_id_that_no_dcu_takes(identity: str) -> None:
    with pytest.raises(ValueError, match="id "):
        commands.command("dcu.ping", id=identity)


def test_a_command_too_long() -> None:
    assert commands.MAX_COMMAND == MAX_COMMAND
    with pytest.raises(ValueError, match="octets"):
        commands.command("meter.set", ["M1"], {"value": "x" * MAX_COMMAND})
