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
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
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
from senet.weights.safe import read_weights

HERE = Path(__file__).parent
RESULTS = HERE / "export"
CHANGES: Mapping[str, Any] = {"fold": 0.5, "gate": "hard_sigmoid"}
SEARCHED = 2000  # training images of CIFAR-10
KTH = {"kth-plain": None, "kth-8-8-8": (8, 8, 8), "kth-8-2-16": (8, 2, 16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mobilenet", *KTH, "report"))
    parser.add_argument("--weights", type=Path, help="weights file of the network")
    parser.add_argument("--data", type=Path, help="Parquet file of photographs, or the folder of CIFAR-10")
    parser.add_argument(
        "--changes", nargs="*", choices=("fold", "gate"), help="changes of KTH networks; all if left out"
    )
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if asked.what == "report":
        from export_report import report  # beside this file

        (HERE / "EXPORT.md").write_text(report(), encoding="utf-8")
        return
    if asked.weights is None or asked.data is None:
        parser.error("--weights and --data are needed to measure")
    torch.set_num_threads(1)
    began = time.process_time()
    found = mobilenet(asked) if asked.what == "mobilenet" else kth(asked.what, asked)
    some = "" if asked.changes is None else " ".join([" --changes", *asked.changes])
    command = f"python benchmarks/export_evidence.py {asked.what}{some} --weights FILE --data DATA"
    found["machine"] = machine(began, command)
    (RESULTS / f"{asked.what}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def machine(began: float, command: str) -> dict[str, Any]:
    """Return what a measurement ran on, and for how long: from a time of `time.process_time`."""
    return {
        "cpu": f"{platform.machine()}, {'with' if has_vnni() else 'without'} VNNI, one thread, shared machine",
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "cpu_seconds": round(time.process_time() - began),
        "command": command,
    }


def photographs_of(weights: Path, data: Path) -> tuple[nn.Module, list[Any]]:
    """Return MobileNetV3-Small in evaluation mode, and the photographs with their classes."""
    import timm

    model = timm.create_model("tf_mobilenetv3_small_100")
    model.load_state_dict(read_weights(weights), strict=True)
    return model.eval(), list(photographs(data))


def mobilenet(asked: argparse.Namespace) -> dict[str, Any]:
    model, rows = photographs_of(asked.weights, asked.data)
    return measured(
        model,
        known=batches(rows[::5], 25),
        search=batches([row for at, row in enumerate(rows) if at % 5], 50),
        whole=batches(rows, 50),
        shape=(1, 3, 224, 224),
        settings=Int8(calibrate=100, rank=100, max_drop=4.0),
        changes=({}, {"fold": 2.0}, {"pool": "avgpool"}),
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

    known, search = balanced(data.train.labels, 200 + SEARCHED, seed=0).split([200, SEARCHED])
    return measured(
        model.eval(),
        known=part(data.train, known),
        search=part(data.train, search),
        whole=part(data.test, torch.arange(len(data.test))),
        shape=(1, 3, 32, 32),
        settings=Int8(calibrate=200, rank=100, max_drop=0.5),
        changes=[
            {},
            *(
                {name: CHANGES[name]}
                for name in ([] if ratios is None else CHANGES if asked.changes is None else asked.changes)
            ),
        ],
        title=f"KTH ResNet-52, {'plain' if ratios is None else f'SE {ratios}'}, CIFAR-10",
        data=f"ranges and order from 200 training images, the search on {SEARCHED:,} others, the table on all 10,000 "
        "test images, which no choice has seen",
    )


def measured(
    model: nn.Module,
    *,
    known: Pairs,
    search: Pairs,
    whole: Pairs,
    shape: tuple[int, ...],
    settings: Int8,
    changes: Sequence[Mapping[str, Any]],
    title: str,
    data: str,
) -> dict[str, Any]:
    """Compare the float network with int8 in four ways, as it is and after changes that `export` makes."""
    with tempfile.TemporaryDirectory() as folder:
        rows, reports = [], {}
        original = Path(folder, "original.onnx")
        senet.export(model, original, shape=shape)
        before = answers(ExportedNetwork(original), whole)
        for change in changes:
            path = Path(folder, "net.onnx")
            bound = {"max_drop": settings.max_drop} if "gate" in change else {}
            exported = senet.export(model, path, shape=shape, images=known, test=search, watch=said, **change, **bound)
            label = label_of(exported, change)
            reference = original if "gate" in change else path
            settled: Quantized | None = None
            if "pool" not in change:  # other operators, the same numbers
                try:
                    content, settled = quantize(
                        path, exported.blocks, known, search, settings, reference=reference, watch=said
                    )
                except senet.SenetError as error:
                    reports[label] = str(error)
            quantizer = Quantizer(path, [x for x, _ in known], reduce_range=settings.reduce_range)
            units = units_of(quantizer.model, exported.blocks)
            files: dict[str, bytes] = {"float": path.read_bytes(), "plain int8": quantizer.quantized([])}
            if (exported.blocks and "fold" in change) or not change:
                files["gates in float"] = quantizer.quantized([node for unit in units for node in unit.gate])
                files["blocks in float"] = quantizer.quantized([n for unit in units if unit.block for n in unit.nodes])
            if settled is not None:
                files["our search"] = content
                reports[label] = settled.as_dict()
            if exported.gates is not None:
                reports[f"{label}gates"] = str(exported.gates)
            for name, content in files.items():
                after = answers(ExportedNetwork(content), whole)
                step = compare(before, after, blocks=0, name=name, params=0)
                base = ExportedNetwork(original if name == "float" else files["float"], threads=1)
                times = latency(base, {name: content}, Example(shape=shape))
                ratio = times.ratios[name]
                rows.append(
                    {**vars(step), "name": label + name, "bytes": len(content), "ratio": ratio, "ms": times.ms[name]}
                )
                print(rows[-1], flush=True)
        return {"title": title, "data": data, "images": before.images, "rows": rows, "searches": reports}


def label_of(exported: senet.Exported, change: Mapping[str, Any]) -> str:
    """Return the name of a change, as the start of a row of the table."""
    if exported.folded is not None:
        return f"folded ({len(exported.folded.removed)} blocks), "
    return "hard gates, " if "gate" in change else "average pools, " if "pool" in change else ""


if __name__ == "__main__":
    main()
