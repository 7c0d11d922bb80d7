"""Octets that nobody meant: a seeded mutator over tests/corpus/dlms. What they are given to is in `targets`."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

CORPUS: Final = {
    path.stem: [bytes.fromhex(line) for line in path.read_text().splitlines() if not line.startswith("#")]
    for path in sorted((Path(__file__).parents[1] / "corpus/dlms").glob("*.hex"))
}
EVERYTHING: Final = [octets for kind in CORPUS.values() for octets in kind]
MAX_INPUT: Final = 4096
TELLING: Final = bytes.fromhex("00 01 02 7e 7f 80 81 82 84 a0 ff")


def mutated(random: Random, octets: bytes) -> bytes:
    """Return `octets` with one to four things done to them, most often a small one."""
    data = bytearray(octets)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        match random.choice((0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7)):
            case 0 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 1 if at < len(data):
                data[at] = random.choice(TELLING)
            case 2:
                data[at:at] = random.randbytes(random.randint(1, 4))
            case 3:
                del data[at : at + random.randint(1, 8)]
            case 4:
                del data[at:]
            case 5:
                data[at:at] = data[at : at + 32] * random.randint(1, 8)
            case 6:
                other = random.choice(EVERYTHING)
                data[at:] = other[random.randrange(len(other)) :]
            case _:
                # a length, and less behind it than it says
                data[at:at] = bytes((random.choice((0x7F, 0x81, 0x82, 0x84)),)) + random.randbytes(2)
    return bytes(data[:MAX_INPUT])


def inputs(kinds: str, number: int) -> Iterator[bytes]:
    random = Random(f"{kinds}{number}")
    seeds = [octets for kind in kinds.split() for octets in CORPUS[kind]]
    yield from seeds
    for _ in range(number - len(seeds)):
        yield mutated(random, random.choice(seeds))
