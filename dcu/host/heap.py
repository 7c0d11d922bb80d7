"""Memory that nobody uses any more: one pool of the C library for all threads, and what a burst left goes back.

Where the library is not glibc, only Python's part is done: nothing but memory is lost by it.
"""

import ctypes
import gc

#: mallopt(3): the number of pools. Each thread would get one of its own, and keep there the most it ever used.
M_ARENA_MAX = -8


def one_pool() -> None:
    """Let all threads share a pool; to be called before there are any."""
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(M_ARENA_MAX, 1)


def settle() -> None:
    """Take what is there for what stays as long as the daemon: it is not looked at again when garbage is sought.

    That takes a dozen milliseconds here, and afterwards only as long as what has come since. What an earlier call took
    for lasting, and is garbage now, goes.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Give back to the system what lies free, which takes about a millisecond once things are settled.

    Python keeps up to 2000 tuples of each length for the next use, a megabyte in all, and circles that nothing leads to
    any more, until garbage is sought: by itself it does so when there is a quarter more of everything.
    """
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
