"""What the C library holds of a process's memory goes back to the system."""

import subprocess
import sys

WASTEFUL = """
import ctypes
from dcu.host.heap import give_back, one_pool

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

one_pool()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
# small pieces are taken from the pool, and the last one keeps those before it from being given back by themselves
pieces = [libc.malloc(4096) for _ in range(4096)]
for piece in pieces:
    ctypes.memset(piece, 1, 4096)
for piece in pieces[:-1]:
    libc.free(piece)
before = resident()
give_back()
print(before - resident())
"""


def test_what_is_free_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", WASTEFUL], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 8 << 20
