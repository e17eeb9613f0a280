"""What int8 costs networks with squeeze-and-excitation, and what the search over blocks saves: the evidence for export.

Measure (10 to 40 minutes of CPU time each), then write EXPORT.md:

    python benchmarks/export_evidence.py mobilenet --weights mobilenetv3_small.safetensors --data photographs.parquet
    python benchmarks/export_evidence.py kth-8-2-16 --weights se_resnet50_cifar10_r8-2-16.safetensors --data CIFAR10
    python benchmarks/export_families.py
    python benchmarks/export_evidence.py report

`mobilenet` is timm's tf_mobilenetv3_small_100 on ImageNet photographs in Parquet (columns image.bytes, label); the
`kth` networks are those of the KTH study on CIFAR-10. Neither is part of the repository.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from export_families import NAMES
from fold_curves import Pairs, batches, photographs, said  # beside this file
from torch import Tensor, nn

import senet
from senet.exporting.example import Example
from senet.exporting.int8.quantizer import Quantizer, has_vnni
from senet.exporting.int8.report import Int8, Quantized
from senet.exporting.int8.search import quantize
from senet.exporting.int8.units import units_of
from senet.exporting.latency import latency
from senet.networks.exported_network import ExportedNetwork
from senet.surgery.folding.answers import answers, compare
from senet.tables import Table
from senet.weights.safe import read_weights

HERE = Path(__file__).parent
RESULTS = HERE / "export"
KTH = {"kth-plain": None, "kth-8-8-8": (8, 8, 8), "kth-8-2-16": (8, 2, 16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mobilenet", *KTH, "report"))
    parser.add_argument("--weights", type=Path, help="weights file of the network")
    parser.add_argument("--data", type=Path, help="Parquet file of photographs, or the folder of CIFAR-10")
    parser.add_argument("--no-fold", action="store_true", help="leave out the networks that are folded first")
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if asked.what == "report":
        (HERE / "EXPORT.md").write_text(report(), encoding="utf-8")
        return
    if asked.weights is None or asked.data is None:
        parser.error("--weights and --data are needed to measure")
    torch.set_num_threads(1)
    began = time.process_time()
    found = mobilenet(asked) if asked.what == "mobilenet" else kth(asked.what, asked)
    found["machine"] = {
        "cpu": f"{platform.machine()}, {'with' if has_vnni() else 'without'} VNNI, one thread, shared machine",
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "cpu_seconds": round(time.process_time() - began),
        "command": " ".join(["python benchmarks/export_evidence.py", *sys.argv[1:2], "--weights FILE --data DATA"]),
    }
    (RESULTS / f"{asked.what}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def mobilenet(asked: argparse.Namespace) -> dict[str, Any]:
    import timm

    model = timm.create_model("tf_mobilenetv3_small_100")
    model.load_state_dict(read_weights(asked.weights), strict=True)
    rows = photographs(asked.data)
    return measured(
        model.eval(),
        known=batches(rows[::5], 25),
        search=batches([row for at, row in enumerate(rows) if at % 5], 50),
        whole=batches(rows, 50),
        shape=(1, 3, 224, 224),
        settings=Int8(calibrate=100, rank=100, max_drop=4.0),
        folds=(None, 2.0),
        title="MobileNetV3-Small (timm), ImageNet",
        data="ranges and order from every 5th of 500 photographs, the search on the 400 others, the table on all 500",
    )


def kth(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    from senet.data import DataSpec, load
    from senet.data.subset import balanced
    from senet.weights import load_weights

    ratios = KTH[name]
    model = senet.create_model("kth_resnet52", se=None if ratios is None else senet.SESpec(reduction=ratios))
    load_weights(model, read_weights(asked.weights), origin="kth")
    data = load(DataSpec(name="cifar10", normalize="kth"), root=asked.data)

    def part(split: Any, indices: Tensor) -> Pairs:
        return list(split.batches([(some, 0) for some in indices.split(200)], augment=None, device="cpu"))

    chosen = balanced(data.test.labels, 2000, seed=0)
    return measured(
        model.eval(),
        known=part(data.train, balanced(data.train.labels, 200, seed=0)),
        search=part(data.test, chosen),
        whole=part(data.test, torch.arange(len(data.test))),
        shape=(1, 3, 32, 32),
        settings=Int8(calibrate=200, rank=100, max_drop=0.5),
        folds=(None,) if ratios is None or asked.no_fold else (None, 0.5),
        title=f"KTH ResNet-52, {'plain' if ratios is None else f'SE {ratios}'}, CIFAR-10",
        data="ranges and order from 200 training images, the search on 2,000 test images, the table on all 10,000",
    )


def measured(
    model: nn.Module,
    *,
    known: Pairs,
    search: Pairs,
    whole: Pairs,
    shape: tuple[int, ...],
    settings: Int8,
    folds: Sequence[float | None],
    title: str,
    data: str,
) -> dict[str, Any]:
    """Compare the float network with int8 in four ways, with and without folding before."""
    with tempfile.TemporaryDirectory() as folder:
        before, rows, reports = None, [], {}
        for fold in folds:
            path = Path(folder, f"net-{fold}.onnx")
            exported = senet.export(model, path, shape=shape, images=known, test=search, fold=fold, watch=said)
            label = "" if fold is None else f"folded ({len(exported.folded.removed)} blocks), "  # type: ignore[union-attr]
            exact = answers(ExportedNetwork(path), whole)
            before = before or exact
            print(label or "float", int(exact.right().sum()), exported.error, flush=True)
            settled: Quantized | None = None
            try:
                content, settled = quantize(path, exported.blocks, known, search, settings, watch=said)
            except senet.SenetError as error:
                reports[label] = str(error)
            quantizer = Quantizer(path, [x for x, _ in known], reduce_range=settings.reduce_range)
            units = units_of(quantizer.model, exported.blocks)
            files: dict[str, bytes] = {"float": path.read_bytes(), "plain int8": quantizer.quantized([])}
            if exported.blocks:
                files["gates in float"] = quantizer.quantized([node for unit in units for node in unit.gate])
                files["blocks in float"] = quantizer.quantized([n for unit in units if unit.block for n in unit.nodes])
            if settled is not None:
                files["our search"] = content
                reports[label] = settled.as_dict()
            for name, content in files.items():
                after = exact if name == "float" else answers(ExportedNetwork(content), whole)
                step = compare(before, after, blocks=0, name=name, params=0)
                times = latency(ExportedNetwork(files["float"], threads=1), {name: content}, Example(shape=shape))
                ratio = times.ratios[name]
                rows.append(
                    {**vars(step), "name": label + name, "bytes": len(content), "ratio": ratio, "ms": times.ms[name]}
                )
                print(rows[-1], flush=True)
        assert before is not None
        return {"title": title, "data": data, "images": before.images, "rows": rows, "searches": reports}


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
        "- time: one image in onnxruntime on one thread, as ratio to the float file of the same network, both timed in "
        "turns: median and quartiles of 15 rounds of process time.",
        "- our search: gates in float first, then the parts with the most noise, until the upper end of the interval "
        "on the images of the search is within the bound.",
        "",
    ]
    for name in ("mobilenet", *KTH):
        path = RESULTS / f"{name}.json"
        if path.exists():
            lines += _network(json.loads(path.read_text(encoding="utf-8")))
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
            ""
            if row["name"].rpartition(", ")[2] == "float"
            else f"{row['ratio'][0]:.2f} [{row['ratio'][1]:.2f}, {row['ratio'][2]:.2f}]",
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
            lines.append(f"- {what}: {search}")
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
        f"`{machine['command']}`: {machine['cpu_seconds']:,} s of CPU time; {machine['cpu']}; torch "
        f"{machine['torch']}, onnxruntime {machine['onnxruntime']}.",
        "",
    ]


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
        f"## Families of timm and torchvision: {len(good)} of {len(found)} export and agree",
        "",
        "One small member of each family with `senet.insert`'s default blocks, random weights and norms, small images; "
        "largest relative difference over batches of 1, 2 and 5, with two sets of norms; limit 1e-5, or twice what "
        "float32 itself differs from float64. Made by `python benchmarks/export_families.py` (CPU seconds).",
        "",
        f"{len(NAMES) - len(found)} of {len(NAMES)} families have not been run yet.",
        "",
        Table(heads, rows, words=("reason",)).markdown(),
    ]


if __name__ == "__main__":
    main()
