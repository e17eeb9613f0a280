"""Write EXPORT.md of the results in `export/`: `python benchmarks/export_evidence.py report`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_families import NAMES  # beside this file

from senet.tables import Table

__all__ = ["report"]

RESULTS = Path(__file__).parent / "export"
NETWORKS = ("mobilenet", "kth-plain", "kth-8-8-8", "kth-8-2-16")


def report() -> str:
    """Return EXPORT.md."""
    lines = [
        "# Export and int8: measured",
        "",
        "Made by `python benchmarks/export_evidence.py report` from the JSON files in `benchmarks/export`.",
        "",
        "- int8: onnxruntime's static quantisation (QDQ), ranges by minimum and maximum, a scale for each output "
        "channel of the weights, unsigned activations.",
        "- lost: top-1 that the float network (first row) has right and this one not, less the reverse, with the 95 % "
        "interval for paired images (Bonett and Price) [percentage points].",
        "- time: one image in onnxruntime on one thread, as ratio to the float file of the same network (of a changed "
        "one in float: to the first row), both timed in turns: median and quartiles of 15 rounds of process time.",
        "- our search: plain int8 if the upper end of the interval on the images of the search is within the bound; "
        "else gates in float first, then the parts with the most noise, until it is.",
        "- An image that the network was trained on tells less than one that it was not: it is classified by a wider "
        "margin. So what a search found on training images may lose more on test images than its bound.",
        "- hard gates: `--gate hard_sigmoid`; average pools: `--pool avgpool`, for the time only.",
        "",
    ]
    for name in NETWORKS:
        path = RESULTS / f"{name}.json"
        if path.exists():
            lines += _network(json.loads(path.read_text(encoding="utf-8")))
        if (path := RESULTS / f"{name}-crossed.json").exists():
            lines += _crossed(json.loads(path.read_text(encoding="utf-8")))
    path = RESULTS / "families.json"
    if path.exists():
        lines += _families(json.loads(path.read_text(encoding="utf-8")))
    return "\n".join(lines).rstrip() + "\n"


def _network(found: Mapping[str, Any]) -> list[str]:
    machine = found["machine"]
    rows = [
        [
            row["name"],
            f"{row['correct']:,} of {found['images']:,}",
            f"{row['loss']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]" if at else "",
            f"{row['bytes'] / 2**20:.2f}",
            f"{row['ms']:.2f}",
            f"{row['ratio'][0]:.2f} [{row['ratio'][1]:.2f}, {row['ratio'][2]:.2f}]" if at else "",
        ]
        for at, row in enumerate(found["rows"])
    ]
    heads = ["network", "right", "lost [95 % interval]", "MiB", "ms", "time [quartiles]"]
    lines = [
        f"## {found['title']}",
        "",
        f"{found['data'][0].upper()}{found['data'][1:]}.",
        "",
        Table(heads, rows).markdown(),
    ]
    for label, search in found["searches"].items():
        what = label.rstrip(", ") or "not folded"
        if isinstance(search, str):
            lines.append(
                f"- on the images of the search: {search}." if label.endswith("gates") else f"- {what}: {search}"
            )
            continue
        parts, step, bound = search["parts"], search["chosen"], search["settings"]["max_drop"]
        kept = [part["name"] for part in parts if part["precision"] in ("block_fp32", "fp32")]
        gates = sum(part["precision"] == "gate_fp32" for part in parts)
        lines.append(
            f"- {what}: on the {search['images']:,} images of the search it lost {step['loss']:+.2f} "
            f"[{step['low']:+.2f}, {step['high']:+.2f}] of at most {bound:g}; {len(kept)} of {len(parts)} parts and "
            f"{gates} gates in float, {100 * step['params'] / search['weights']:.0f} % of weights in int8; whole parts "
            f"in float: {', '.join(f'`{name}`' for name in kept) or 'none'}."
        )
    return [
        *lines,
        "",
        _made(machine),
        "",
    ]


def _crossed(found: Mapping[str, Any]) -> list[str]:
    machine, searches = found["machine"], found["searches"]
    rows = [
        [row["name"], f"{row['correct']:,} of {found['images']:,}"]
        + ([] if row["name"] == "float" else [f"{row['loss']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"])
        for row in found["rows"]
    ]
    seen = [f"{one['seen']['loss']:+.2f}" for one in searches]
    parts = [f"{one['float']}" for one in searches]
    return [
        f"## {found['title']}",
        "",
        f"{len(searches)} searches, each on 4/5 of the photographs with at most 4 points at the upper end of the "
        "interval; the table adds up the tests on the other fifths: each image is classified by a file that was made "
        "without it.",
        "",
        Table(
            ["network", "right", "lost [95 % interval]"], [[*row, *[""] * (3 - len(row))] for row in rows]
        ).markdown(),
        f"- On the images of the searches the files lost {', '.join(seen)} points; parts and gates in float: "
        f"{', '.join(parts)} of {searches[0]['parts']}.",
        "",
        _made(machine),
        "",
    ]


def _made(machine: Mapping[str, Any]) -> str:
    return (
        f"`{machine['command']}`: {machine['cpu_seconds']:,} s of CPU time; {machine['cpu']}; torch "
        f"{machine['torch']}, onnxruntime {machine['onnxruntime']}."
    )


def _families(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    good = [row for row in found.values() if row["error"] is not None and row["classes"]]
    heads = ["network", "size", "blocks", "difference", "classes agree", "seconds", "reason"]
    rows = [
        [
            name,
            row["size"],
            row["blocks"],
            "" if row["error"] is None else f"{row['error']:.1e}",
            "yes" if row["classes"] else "no",
            row["seconds"],
            row["reason"],
        ]
        for name, row in found.items()
    ]
    return [
        f"## Networks of timm and torchvision: {len(good)} of {len(found)} export and agree",
        "",
        "Small members of 41 families of timm and 14 of torchvision with `senet.insert`'s default blocks, random "
        "weights and norms, small images; "
        "largest relative difference over batches of 1, 2 and 5, with two sets of norms; limit 1e-5, or twice what "
        "float32 itself differs from float64. Made by `python benchmarks/export_families.py` (CPU seconds).",
        "",
        *([f"{left} of {len(NAMES)} networks have not been run yet.", ""] if (left := len(NAMES) - len(found)) else []),
        Table(heads, rows, words=("reason",)).markdown(),
    ]
