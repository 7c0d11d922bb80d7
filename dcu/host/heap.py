"""What the C library holds of this process's memory: one pool for all threads, and what a burst left goes back.

Python's own objects are not touched. Where the library is not glibc, nothing is done: nothing but memory is lost by it.
"""

import ctypes

#: mallopt(3): the number of pools. Each thread would get one of its own, and keep there the most it ever used.
M_ARENA_MAX = -8


def one_pool() -> None:
    """Let all threads share a pool; to be called before there are any."""
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(M_ARENA_MAX, 1)


def give_back() -> None:
    """Give back to the system what lies free in the pool; it takes about a millisecond."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
