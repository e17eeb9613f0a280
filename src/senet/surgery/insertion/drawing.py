"""Format an insertion as text: a drawing of the stages, a table of the blocks, totals, skipped units."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from senet.tables import Table, room, wrapped
from senet.text import one_line

if TYPE_CHECKING:
    from senet.surgery.insertion.report import Insertion, PlannedBlock

__all__ = ["insertion_text"]

HEADS = ("block", "slot", "stage", "map", "widths", "params", "MAC")
SPARE = ("slot", "map", "stage", "MAC")


def insertion_text(done: "Insertion", *, title: str = "", network: tuple[int, int] | None = None) -> str:
    """Return the text of an insertion, planned or done, wrapped to the width of the terminal.

    Args:
        done: the insertion.
        title: name of the network.
        network: parameters [1] and multiply-adds [MAC] without the blocks; None omits the percentages.
    """
    size = "x".join(map(str, done.shape[2:]))
    number = f"{len(done)} block{'' if len(done) == 1 else 's'}"
    lines = [f"{title + ', ' if title else ''}input {size}: {number}", ""]
    if done.blocks:
        table = Table(HEADS, [_row(block) for block in done], words=("slot",), spare=SPARE)
        lines += [*_drawing(done), "", *str(table).splitlines(), "", *_totals(done, network)]
    lines.append(_covered(done))
    if done.skipped:
        lines += ["", "left out"]
        reasons: dict[str, list[str]] = {}
        for one in done.skipped:
            reasons.setdefault(one.reason.partition(":")[0], []).append(one.name or "the network itself")
        for reason, names in reasons.items():
            lines.append(f"  {len(names)} x {reason}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    width = room()
    return "\n".join(part for line in lines for part in wrapped(one_line(line), width, indent="    "))


def _drawing(done: "Insertion") -> Iterator[str]:
    """Yield one line for each map size of a stage, with one mark for each block, from input to output."""
    stages: dict[int, dict[tuple[int, ...], list[PlannedBlock]]] = {}
    for block in done:
        stages.setdefault(block.stage, {}).setdefault(block.resolution, []).append(block)
    width = room()
    for stage, resolution in [(number, size) for number, sizes in sorted(stages.items()) for size in sizes]:
        members = stages[stage][resolution]
        size = "x".join(map(str, resolution))
        widths = list(dict.fromkeys(str(block.channels) for block in members))
        channels = widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
        before, behind = f"stage {stage:<3}{size:>10}  ─", f"  {channels} channels"
        most = len(members) if width is None else max(1, (width - len(before) - len(behind)) // 2)
        while len(members) > most:  # a stage that is longer than a line
            yield before + "■─" * most
            members, before = members[most:], " " * (len(before) - 1) + "─"
        yield before + "■─" * len(members) + behind


def _row(block: "PlannedBlock") -> list[str]:
    size, widths = "x".join(map(str, block.resolution)), "-".join(map(str, block.widths))
    return [block.name, block.slot, f"{block.stage}", size, widths, f"{block.params:,}", f"{block.macs:,}"]


def _totals(done: "Insertion", network: tuple[int, int] | None) -> Iterator[str]:
    for number, (label, added) in enumerate((("parameters", done.params), ("multiply-adds", done.macs))):
        before = network[number] if network else 0
        percent = f" (+{100 * added / before:.2f} %)" if before else ""
        yield f"{label:14}{f'{before:,}' if network else '':>16}  + {added:,}{percent}"


def _covered(done: "Insertion") -> str:
    return f"{'convolutions':14}{done.convolutions:>16,}  {done.gated:,} of them in a unit with a block"
