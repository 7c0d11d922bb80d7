"""Work done in a short-lived child process, so that the memory it takes is given back. What the work is, is not here.

Parsing the YAML of 1024 meters leaves tens of megabytes behind in the process that does it; the frozen result is small.
"""

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from dcu.errors import ConfigError, DcuError

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Return what `work()` returns, run in a forked child; the result has to be picklable.

    A ConfigError of the child is raised here again; any other failure is our bug and becomes a DcuError with its
    traceback. To be called before threads are started: only the calling thread lives on in the child.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, work)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return unpacked(answer, status)  # type: ignore[no-any-return]  # pickle cannot tell


def unpacked(answer: bytes, status: int) -> Any:
    """Return the result in what a child that ended with `status` wrote (`outcome`), or raise what it raised."""
    if status or not answer:
        raise DcuError(f"the child process ended with wait status {status}")
    result, problems, bug = pickle.loads(answer)  # noqa: S301 - written by our own child
    if bug:
        raise DcuError(f"in the child process: {bug}")
    if problems:
        raise ConfigError(*problems)
    return result


def _answer(writer: int, work: Callable[[], object]) -> NoReturn:
    """Write (result, problems, bug) and end without the parent's exit handlers, which are not the child's to run."""
    code = 1
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(outcome(work))
        code = 0
    finally:
        os._exit(code)


def outcome(work: Callable[[], object]) -> bytes:
    """Return (result, problems, bug) of `work()`, pickled."""
    try:
        return pickle.dumps((work(), (), ""))
    except ConfigError as error:
        return pickle.dumps((None, error.problems, ""))
    except Exception:  # noqa: BLE001 - the parent raises it
        return pickle.dumps((None, (), traceback.format_exc()))
