"""Export one small member of every convolutional family, with inserted blocks, and note whether the file agrees.

    nice -n 15 python benchmarks/export_families.py                 # all, about an hour of CPU time
    python benchmarks/export_families.py resnet18 torchvision:alexnet

The results go to export/families.json, one network after the other; networks that are there already are left out
unless they are named. `python benchmarks/export_evidence.py report` makes the table of EXPORT.md of it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from insert_families import TIMM, TORCHVISION, build, input_for  # beside this file

import senet
from senet.errors import SenetError

RESULTS = Path(__file__).parent / "export" / "families.json"
NAMES = [*TIMM, *(f"torchvision:{name}" for name in TORCHVISION)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks; all that are missing if none is named")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file of the results")
    asked = parser.parse_args()
    path: Path = asked.output
    warnings.simplefilter("ignore")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    for name in asked.names or [name for name in NAMES if name not in found]:
        found[name] = try_one(name)
        print(name, found[name], file=sys.stderr, flush=True)
        ordered = {name: found[name] for name in [*NAMES, *found] if name in found}
        path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def try_one(name: str) -> dict[str, Any]:
    began = time.process_time()
    row: dict[str, Any] = {"size": 0, "blocks": 0, "error": None, "classes": False, "reason": ""}
    try:
        model = build(name)
        x = input_for(model)
        row["size"] = x.shape[-1]
        row["blocks"] = len(senet.insert(model, shape=tuple(x.shape)))
        with tempfile.TemporaryDirectory() as folder:
            report = senet.export(model, Path(folder, "net.onnx"), shape=tuple(x.shape))
        row["error"] = report.error
        row["allowed"] = max(one.allowed for one in report.checks)
        row["classes"] = all(one.agree == one.shape[0] for one in report.checks)
        row["named"] = sum(bool(nodes) for nodes in report.blocks.values())
    except SenetError as error:
        row["reason"] = str(error)
    except Exception as error:  # any failure is a line of the table
        row["reason"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    row["seconds"] = round(time.process_time() - began)
    return row


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
