"""The report of an export: the comparisons of the file with the network, and its latency."""

from collections.abc import Sequence
from pathlib import Path

from senet.exporting import Exported
from senet.exporting.hard_gates import HardGates
from senet.reports.console import say, say_written, show
from senet.reports.int8_report import part_table, step_table
from senet.tables import Table

__all__ = ["gate_table", "show_export"]


def gate_table(gates: HardGates) -> Table:
    """Return the hard gates of the blocks."""
    rows = [[one.name, f"{one.alpha:.4f}", f"{one.beta:.4f}", f"{one.error:.4f}"] for one in gates.gates]
    rows += [[name, "", "", "kept: no sigmoid"] for name in gates.kept]
    return Table(["block", "alpha", "beta", "change of the gate, rms"], rows, code=True)


def show_export(exported: Exported, notes: Sequence[str], files: Sequence[Path] = ()) -> None:
    """Print the comparisons, the latency, the remarks, and the files that were written.

    Args:
        exported: the export.
        notes: remarks on the network and its images.
        files: further files that were written.
    """
    show(exported.table())
    if exported.gates:
        show(gate_table(exported.gates))
        say(f"{exported.gates}")
    if exported.int8:
        show(part_table(exported.int8))
        show(step_table(exported.int8))
    if exported.latency:
        say(str(exported.latency), dim=False)
    for note in (*exported.notes, *(exported.int8.notes if exported.int8 else ()), *notes):
        say(f"- {note}")
    say_written([exported.path, *files])
