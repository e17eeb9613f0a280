"""An insertion as text: a drawing of the stages, a table of the blocks, what they add, what was left out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from senet.surgery.insertion import Insertion, PlannedBlock

__all__ = ["insertion_text"]


def insertion_text(done: "Insertion", *, title: str = "", network: tuple[int, int] | None = None) -> str:
    """Write an insertion, planned or done.

    Args:
        done: what is written.
        title: of the network.
        network: parameters and multiply-adds without the blocks; None leaves the percentages out.
    """
    size = "x".join(map(str, done.shape[2:]))
    number = f"{len(done)} block{'' if len(done) == 1 else 's'}"
    lines = [f"{title + ', ' if title else ''}input {size}: {number}", ""]
    if done.blocks:
        lines += [*_drawing(done), "", *_table(done), "", *_totals(done, network)]
    lines.append(_covered(done))
    if done.skipped:
        lines += ["", "left out"]
        reasons: dict[str, list[str]] = {}
        for one in done.skipped:
            reasons.setdefault(one.reason.partition(":")[0], []).append(one.name or "the network itself")
        for reason, names in reasons.items():
            lines.append(f"  {len(names)} x {reason}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    return "\n".join(lines)


def _drawing(done: "Insertion") -> list[str]:
    """Draw one line a stage, one mark a block: the network from its input (top) to its output."""
    stages: dict[int, list[PlannedBlock]] = {}
    for block in done:
        stages.setdefault(block.stage, []).append(block)
    lines = []
    for stage, members in sorted(stages.items()):
        size = "x".join(map(str, members[0].resolution))
        widths = list(dict.fromkeys(str(block.channels) for block in members))
        channels = widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
        lines.append(f"stage {stage:<3}{size:>10}  ─{'■─' * len(members)}  {channels} channels")
    return lines


def _table(done: "Insertion") -> list[str]:
    long = max(5, *(len(block.name) for block in done))
    wide = max(6, *(len("-".join(map(str, block.widths))) for block in done))
    lines = [f"{'block':{long}}  {'slot':>8}  {'stage':>5}  {'map':>9}  {'widths':>{wide}}  {'params':>9}  {'MAC':>11}"]
    for block in done:
        size = "x".join(map(str, block.resolution))
        widths = "-".join(map(str, block.widths))
        lines.append(
            f"{block.name:{long}}  {block.slot:>8}  {block.stage:>5}  {size:>9}  {widths:>{wide}}  "
            f"{block.params:>9,}  {block.macs:>11,}"
        )
    return lines


def _totals(done: "Insertion", network: tuple[int, int] | None) -> list[str]:
    lines = []
    for number, (label, added) in enumerate((("parameters", done.params), ("multiply-adds", done.macs))):
        before = network[number] if network else 0
        percent = f" (+{100 * added / before:.2f} %)" if before else ""
        lines.append(f"{label:14}{f'{before:,}' if network else '':>16}  + {added:,}{percent}")
    return lines


def _covered(done: "Insertion") -> str:
    return f"{'convolutions':14}{done.convolutions:>16,}  {done.gated:,} of them in a unit with a block"
