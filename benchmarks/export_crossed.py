"""What the int8 search loses on images that it has not seen: five searches on 4/5 of the photographs, tests on 1/5.

    nice -n 15 python benchmarks/export_crossed.py --weights mobilenetv3_small.safetensors --data photographs.parquet

The network is timm's tf_mobilenetv3_small_100. `python benchmarks/export_evidence.py report` makes the table of
EXPORT.md of the result. Every image is classified once by a file whose ranges, order and search did not see it.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from export_evidence import RESULTS, machine, photographs_of  # beside this file
from fold_curves import batches, said
from torch import nn

import senet
from senet.exporting.int8.quantizer import Quantizer
from senet.exporting.int8.report import Int8
from senet.exporting.int8.search import quantize
from senet.exporting.int8.units import units_of
from senet.networks.exported_network import ExportedNetwork
from senet.surgery.folding.answers import answers, compare
from senet.surgery.folding.folded import Step, paired_interval

PARTS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="weights file of the network")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file of photographs")
    parser.add_argument("--output", type=Path, default=RESULTS / "mobilenet-crossed.json", help="file of the results")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    model, rows = photographs_of(asked.weights, asked.data)
    searches = [one_part(model, rows, part) for part in range(PARTS)]
    names = list(searches[0]["rows"])
    found = {
        "title": "MobileNetV3-Small on images that the search has not seen",
        "images": len(rows),
        "rows": [{"name": name, **added([one["rows"][name] for one in searches], images=len(rows))} for name in names],
        "searches": searches,
        "machine": machine(began, "python benchmarks/export_crossed.py --weights FILE --data DATA"),
    }
    asked.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def one_part(model: nn.Module, rows: list[Any], part: int) -> dict[str, Any]:
    """Search on the images outside of a part, and compare the files on the part."""
    test = batches(rows[part::PARTS], 50)
    others = [row for at, row in enumerate(rows) if at % PARTS != part]
    known, search = batches(others[::4], 25), batches(others, 50)
    settings = Int8(calibrate=100, rank=100, max_drop=4.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        exported = senet.export(model, path, shape=(1, 3, 224, 224))
        content, settled = quantize(path, exported.blocks, known, search, settings, watch=said)
        quantizer = Quantizer(path, [x for x, _ in known])
        gates = [node for unit in units_of(quantizer.model, exported.blocks) for node in unit.gate]
        files: dict[str, bytes] = {
            "plain int8": quantizer.quantized([]), "gates in float": quantizer.quantized(gates), "our search": content,
        }  # fmt: skip
        exact = answers(ExportedNetwork(path), test)
        steps = {
            name: compare(exact, answers(ExportedNetwork(file), test), blocks=0, name=name, params=0)
            for name, file in dict[str, Path | bytes](float=path, **files).items()
        }
    assert settled.chosen is not None
    found = {
        "part": part,
        "seen": {"images": settled.images, **vars(settled.chosen)},
        "float": sum(one.precision != "int8" for one in settled.parts),
        "parts": len(settled.parts),
        "rows": {name: counts(step) for name, step in steps.items()},
    }
    print(found, flush=True)
    return found


def counts(step: Step) -> dict[str, Any]:
    return {name: getattr(step, name) for name in ("correct", "worse", "better")}


def added(parts: list[dict[str, int]], *, images: int) -> dict[str, Any]:
    """Return the sums over the parts, and the paired interval of their loss."""
    total = {name: sum(part[name] for part in parts) for name in parts[0]}
    loss, low, high = paired_interval(total["worse"], total["better"], images)
    return {**total, "loss": loss, "low": low, "high": high}


if __name__ == "__main__":
    main()
