"""Commands as the bytes that go to `{prefix}/{dcu}/command`; which there are is the catalogue of docs/asyncapi.yaml.

What becomes of one is told by `Result` messages under the same id.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Octets of a command at most.
MAX_COMMAND: Final = 100_000

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def reconcile(stream: str, start: float, end: float, meter: str | None = None) -> tuple[str, bytes]:
    """Return the id and the bytes of the question what is held of `stream` from `start` to `end` (UTC seconds).

    What it is answered with is compared by `reconciling.Sums.differences`.
    """
    args = {"stream": stream, "from": int(start), "to": int(end)} | ({} if meter is None else {"meter": meter})
    return command("dcu.reconcile", args=args)


def resend(stream: str, first: int, last: int) -> tuple[str, bytes]:
    """Return the id and the bytes of the wish to have blocks `first` to `last` of `stream` once more."""
    return command("dcu.resend", args={"stream": stream, "from_seq": first, "to_seq": last})


def command(
    name: str,
    meters: Sequence[str] = (),
    args: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,  # noqa: A002 - the contract's word
    expires: float | None = None,
    group: str | None = None,
    everybody: bool = False,
) -> tuple[str, bytes]:
    """Return the id of a command and its bytes; without `id` it gets one of its own.

    The id makes it idempotent for as long as the DCU's journal knows it (among the last 20 000 that change something,
    whatever their age; reads among the last 20 000 of all, for 400 days unless configured otherwise): send the same
    bytes again when in doubt. `expires` is UTC seconds. Raises ValueError for an id or a length that no DCU takes.
    Reads may be for all meters of a `group`, or for `everybody`.
    """
    identity = uuid.uuid4().hex if id is None else id
    if not _ID.fullmatch(identity):
        raise ValueError(f"id {identity[:64]!r}: expected 1 to 64 letters, digits or . _ : -")
    envelope: dict[str, Any] = {"id": identity, "name": name, "args": dict(args or {})}
    if meters:
        envelope["targets"] = {"meters": list(meters)}
    elif group is not None or everybody:
        envelope["targets"] = {"all": True} if group is None else {"group": group}
    if expires is not None:
        envelope["expires"] = int(expires)
    payload = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(payload) > MAX_COMMAND:
        raise ValueError(f"a command of {len(payload)} octets")
    return identity, payload
