"""What a card says of an exported file: the checks with their numbers, the quantisation, limits, and the comparison."""

import re

from senet.exporting.exported import Exported
from senet.tables import Table
from senet.text import code_span, markdown

__all__ = ["with_export"]


def with_export(card: str, exported: Exported, *, file: str, comparison: str | None) -> str:
    """Return a card with a section on the exported file, and one on the comparison.

    Args:
        card: the card of `save_pretrained`.
        exported: the export.
        file: name of the exported file.
        comparison: report of the comparison that justified the blocks, in Markdown.
    """
    lines = [
        card.rstrip(),
        "",
        "## Exported file",
        "",
        f"{code_span(file)} was compared with the network before it was written (relative differences):",
        "",
        exported.table().markdown(),
        *([markdown(exported.latency) + ".", ""] if exported.latency else []),
        *([markdown(exported.gates) + ". The comparison above is of the file before.", ""] if exported.gates else []),
        *_int8(exported),
        "Limits: the numbers hold for onnxruntime on a CPU; other runtimes round differently, so compare before you "
        "rely on one. Images must be prepared as the table above says.",
    ]
    if comparison is not None:
        lines += ["", "## Why it has these blocks", "", re.sub(r"^(#+) ", r"##\1 ", comparison.strip(), flags=re.M)]
    return "\n".join(lines).rstrip() + "\n"


def _int8(exported: Exported) -> list[str]:
    found = exported.int8
    if found is None:
        return []
    float_parts = sum(part.precision != "int8" for part in found.parts)
    rows = [
        [name, f"{found.share(step):.0f}", f"{step.loss:+.2f} [{step.low:+.2f}, {step.high:+.2f}]"]
        for name, step in (("plain int8", found.plain), ("gates in float", found.gates), ("this file", found.chosen))
        if step is not None
    ]
    return [
        f"It is in int8, with {float_parts} of {len(found.parts)} blocks and layers in float, so that it loses at most "
        f"{found.settings.max_drop:g} points on {found.images:,} test images; the network in float was quantised after "
        "the comparison above.",
        "",
        Table(["network", "weights in int8 [%]", "top-1 lost [95 % interval]"], rows).markdown(),
    ]
