"""The history of meters' clocks in memory, as the store keeps it."""

from dataclasses import replace

from dcu.store import Adjustment


class MemoryClocks:
    """`shown` and `moves` by meter; nothing is pruned."""

    def __init__(self) -> None:
        self.shown: dict[str, list[tuple[int, float]]] = {}
        self.moves: dict[str, Adjustment] = {}

    async def shows(self, meter: str, at: int, offset: float, *, anew: bool = False) -> None:
        self.shown[meter] = [*([] if anew else self.shown.get(meter, [])), (at, offset)]

    async def points(self, meter: str) -> list[tuple[int, float]]:
        return self.shown.get(meter, [])

    async def latest(self) -> dict[str, tuple[int, float]]:
        return {meter: points[-1] for meter, points in self.shown.items()}

    async def adjust_begins(self, meter: str, adjustment: Adjustment) -> None:
        self.moves[meter] = adjustment

    async def adjust_ends(self, meter: str, moved: float) -> None:
        self.moves[meter] = replace(self.moves[meter], open=False)
        self.shown[meter] = [(at, offset + moved) for at, offset in self.shown.get(meter, [])]

    async def adjustments(self) -> dict[str, Adjustment]:
        return dict(self.moves)
