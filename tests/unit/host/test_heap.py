"""What nobody uses of a process's memory goes back to the system."""

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


CIRCLES = """
import gc, weakref
from dcu.host.heap import give_back, settle

class Room:
    def __init__(self):
        self.itself = self

gc.disable()  # nobody else seeks garbage
lasting, young = Room(), Room()
seen = {"lasting": weakref.ref(lasting)}
settle()
seen["young"] = weakref.ref(young := Room())
del lasting, young
give_back()
print(*(name for name, room in seen.items() if room()))
settle()
print(*(name for name, room in seen.items() if room()), gc.get_freeze_count() > 1000)
"""


def test_what_is_garbage_goes_and_what_was_there_at_the_start_when_all_is_built_anew() -> None:
    done = subprocess.run([sys.executable, "-c", CIRCLES], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["lasting", "True"]
