"""The floor of a fused tail on an H100, on paper: bytes that must move and kernels that must start, layer by layer.

    python benchmarks/floors.py

A training step of the tails of SE-ResNet-50 (norm, block, sum, ReLU), 32 images of 224 x 224, bfloat16. Maps moved are
those of `tails.py`; the speed is what a copy reaches on an H100. Nothing here was measured on this project's code.
"""

from tails import PASSES

from senet.tables import Table

IMAGES, BYTES = 32, 2
SPEED = 3e12  # bytes a second
LAUNCHES = 65  # of one fused tail, forward and backward; counted by tests/fast/test_launches.py
LAUNCH = 2.5e-6  # seconds from one small kernel to the next in a CUDA graph
TAILS = ((256, 56, 3), (512, 28, 4), (1024, 14, 6), (2048, 7, 3))  # channels, side, units


def table() -> str:
    """Return the table as Markdown."""
    moved = {name: sum(map(sum, passes)) for name, passes in PASSES.items()}
    heads = ["tail", "units", "one map", *(f"{name}, {count} maps" for name, count in moved.items()), "launches alone"]
    rows = []
    total = dict.fromkeys(moved, 0.0)
    for channels, side, units in TAILS:
        size = IMAGES * channels * side * side * BYTES
        floors = {name: count * size / SPEED for name, count in moved.items()}
        total = {name: total[name] + units * floors[name] for name in moved}
        cells = [f"{1e6 * seconds:.0f} µs" for seconds in floors.values()]
        rows.append([f"{channels} x {side}²", str(units), f"{size / 1e6:.1f} MB", *cells, f"{_launches(1):.0f} µs"])
    count = sum(units for *_, units in TAILS)
    cells = [f"{1e6 * seconds:.0f} µs" for seconds in total.values()]
    rows.append(["all", str(count), "", *cells, f"{_launches(count):.0f} µs"])
    return Table(heads, rows).markdown().rstrip()


def _launches(units: int) -> float:
    return 1e6 * units * LAUNCHES * LAUNCH


if __name__ == "__main__":
    print(table())
