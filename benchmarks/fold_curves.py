"""How many SE blocks of two trained networks can be folded away, and at what cost: the evidence for `senet.fold`.

Measure (minutes to half an hour on one core), then draw:

    python benchmarks/fold_curves.py mobilenet --weights mobilenetv3_small.safetensors --data photographs.parquet
    python benchmarks/fold_curves.py kth --weights se_resnet50_cifar10_r8-8-8.safetensors --data CIFAR10_FOLDER
    python benchmarks/fold_curves.py report

`mobilenet` is timm's tf_mobilenetv3_small_100 on ImageNet photographs in Parquet (columns image.bytes, label);
`kth` is the SE-ResNet-52 of the KTH study, ratios (8, 8, 8), on CIFAR-10. Neither is part of the repository.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import senet
from senet.data.dataset import Split
from senet.data.subset import balanced
from senet.nn.evaluated import evaluated
from senet.surgery import find
from senet.surgery.folding.answers import Answers, answers, compare
from senet.surgery.folding.folded import Step
from senet.surgery.folding.removal import Removal

HERE = Path(__file__).parent / "fold"
Pairs = list[tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mobilenet", "kth", "report"))
    parser.add_argument("--weights", type=Path, help="weights file of the network")
    parser.add_argument("--data", type=Path, help="Parquet file of photographs, or the folder of CIFAR-10")
    parser.add_argument("--statistics", type=int, default=0, help="images for gates and order; 0: 100, kth 500")
    parser.add_argument("--curve", type=int, default=0, help="test images of every step; 0: all others, kth 2000")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the results")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    if asked.what == "report":
        from fold_report import report  # beside this file

        report(asked.output)
        return
    if asked.weights is None or asked.data is None:
        parser.error("--weights and --data are needed to measure")
    found = {"mobilenet": mobilenet, "kth": kth}[asked.what](asked)
    (asked.output / f"{asked.what}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def mobilenet(asked: argparse.Namespace) -> Mapping[str, Any]:
    import timm

    from senet.weights.safe import read_weights

    model = timm.create_model("tf_mobilenetv3_small_100")
    model.load_state_dict(read_weights(asked.weights), strict=True)
    rows = photographs(asked.data)
    number = asked.statistics or 100
    step = len(rows) // number
    statistics = [row for i, row in enumerate(rows) if i % step == 0][:number]
    chosen = {id(row) for row in statistics}
    test = [row for row in rows if id(row) not in chosen][: asked.curve or None]
    stages = {f"stage {number}": f"blocks.{number}.*" for number in (0, 2, 3, 4)}
    return measured(
        model,
        batches(statistics, 50),
        batches(test, 50),
        whole=batches(test, 50),
        stages=stages,
        title="MobileNetV3-Small (timm, ImageNet)",
        data=f"{len(rows)} ImageNet validation photographs, every {step}th for statistics, the others for the accuracy",
    )


def kth(asked: argparse.Namespace) -> Mapping[str, Any]:
    from senet.data import DataSpec, load
    from senet.weights import load_weights
    from senet.weights.safe import read_weights

    model = senet.create_model("kth_resnet52", se=senet.SESpec(reduction=8))
    load_weights(model, read_weights(asked.weights), origin="kth")
    model.to(memory_format=torch.channels_last)  # other bits, same values, a quarter faster on a CPU
    number, few = asked.statistics or 500, asked.curve or 2000
    data = load(DataSpec(name="cifar10", normalize="kth"), root=asked.data)
    stages = {"stem": "stem.*", **{f"stage {number}": f"stage{number}.*" for number in (1, 2, 3)}}
    return measured(
        model,
        split_batches(data.train, number),
        split_batches(data.test, few),
        whole=split_batches(data.test, len(data.test)),
        stages=stages,
        title="KTH SE-ResNet-52 (8, 8, 8)",
        data=f"CIFAR-10: {number} training images for gates and order, {few} test images for the curve (both balanced "
        f"over the classes), all {len(data.test)} test images for the last stage",
    )


def measured(
    model: nn.Module,
    statistics: Pairs,
    test: Pairs,
    *,
    whole: Pairs,
    stages: Mapping[str, str],
    title: str,
    data: str,
) -> Mapping[str, Any]:
    """Measure the curve, the stages, and both constants."""
    started, cpu = time.time(), time.process_time()
    report = senet.fold(model, statistics, test=test, dry_run=True, watch=said)
    print(json.dumps([vars(step) for step in report.steps]), flush=True)
    with evaluated(model):
        removal = Removal(model, {one.name: one for one in find(model)}, statistics, None, said)
        removal.observe()
        order = [block.name for block in report.order]
        before = answers(model, test)
        means = {
            str(len(names)): vars(without(removal, names, before, test, mean=True))
            for names in (order[: len(order) // 2], order)
        }
        by_stage = {}
        for stage, pattern in stages.items():
            names = [name for name in order if fnmatchcase(name, pattern)]
            by_stage[stage] = vars(without(removal, names, before, test))
            print(stage, by_stage[stage], flush=True)
        original = before if whole is test else answers(model, whole)
        last = by_stage[stage] if whole is test else vars(without(removal, names, original, whole))
        few = [(x[:8], y[:8]) for x, y in statistics[:1]]  # where constants go does not depend on the images
        applied = senet.fold(model, few, tolerance=None, blocks=len(order))
    return {
        "title": title,
        "data": data,
        "before": {"correct": int(original.right().sum()), "total": original.images},
        "report": report.as_dict(),
        "stages": by_stage,
        "last_stage": last,
        "plain_means": means,
        "where": {block.name: block.where or block.reason for block in applied.blocks},
        "rounding": applied.rounding,
        "seconds": round(time.time() - started),
        "cpu_seconds": round(time.process_time() - cpu),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "command": " ".join(["python benchmarks/fold_curves.py", *sys.argv[1:2], "--weights FILE --data DATA"]),
    }


def without(removal: Removal, names: Sequence[str], before: Answers, test: Pairs, *, mean: bool = False) -> Step:
    """Hold the network with constants in some blocks against the original; with plain means of the gates if asked."""
    kept = dict(removal.constants)
    for name in names if mean else ():
        plain = removal.sums[name].mean()
        removal.constants[name] = plain.where(plain.isfinite(), kept[name])
    with removal.constant(names):
        after = answers(removal.model, test)
    removal.constants.update(kept)
    params = sum(removal.reports[name].params for name in names)
    return compare(before, after, blocks=len(names), name=names[-1], params=params)


def photographs(path: Path) -> list[tuple[Tensor, int]]:
    """Read photographs of 224x224 pixels as timm's TensorFlow networks want them, RGB / 127.5 - 1."""
    import numpy as np
    import pyarrow.parquet as parquet
    from PIL import Image

    found = []
    for row in parquet.read_table(path).to_pylist():
        pixels = np.array(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"))
        found.append((torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1, row["label"]))
    return found


def batches(rows: Sequence[tuple[Tensor, int]], size: int) -> Pairs:
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [(torch.stack([x for x, _ in part]), torch.tensor([y for _, y in part])) for part in parts]


def split_batches(split: Split, number: int) -> Pairs:
    plan = [(part, 0) for part in balanced(split.labels, number, seed=0).split(100)]
    pairs = split.batches(plan, augment=None, device="cpu")
    return [(x.contiguous(memory_format=torch.channels_last), y) for x, y in pairs]


def said(what: str, done: int, planned: int) -> None:
    print(f"{time.strftime('%H:%M:%S')} {done}/{planned} {what}", flush=True)


if __name__ == "__main__":
    main()
