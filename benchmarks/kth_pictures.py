"""The KTH report's pictures from its authors' own networks: confusion matrices and accuracy by class, side by side.

Their weights are public (nlindqv/RRs-in-SENets) and not part of this repository; what is counted and drawn is.

    python benchmarks/kth_pictures.py --weights DIR --data-dir DIR

`DIR` of the weights holds `plain_resnet50_cifar10_baseline.safetensors`, `se_resnet50_cifar10_r8-8-8.safetensors` and
`se_resnet50_cifar10_r8-2-16.safetensors`. Each network is tested in a few minutes on one core; which images it has
right goes to `results.json`, and `kth_report.py` makes everything else from that.
"""

import argparse
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from kth_report import HERE, RESULTS, report  # beside this file

from senet.data import DataSpec, load
from senet.files.atomic import write_text
from senet.models import create_model
from senet.spec import SESpec
from senet.training.evaluation import evaluate
from senet.weights import load_weights
from senet.weights.safe import read_weights

COMMAND = "python benchmarks/kth_pictures.py --weights DIR --data-dir DIR"
# the labels of our pictures, file, ratios, and the accuracy [%] and loss of the report's Table 3
NETWORKS = (
    ("ResNet-52", "plain_resnet50_cifar10_baseline", None, 90.97, 0.4803),
    ("SE-ResNet-52 (8, 8, 8)", "se_resnet50_cifar10_r8-8-8", (8, 8, 8), 91.17, 0.4669),
    ("SE-ResNet-52 (8, 2, 16)", "se_resnet50_cifar10_r8-2-16", (8, 2, 16), 91.53, 0.4652),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder of the authors' weights")
    parser.add_argument("--data-dir", type=Path, help="folder of CIFAR-10")
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    parser.add_argument("--redraw", action="store_true", help=f"write the report of {RESULTS} again, test nothing")
    asked = parser.parse_args()
    if not asked.redraw:
        if asked.weights is None or asked.data_dir is None:
            parser.error("--weights and --data-dir are missing")
        asked.output.mkdir(parents=True, exist_ok=True)
        found = measured(asked.weights, asked.data_dir)
        write_text(asked.output / RESULTS, json.dumps(found, indent=1) + "\n")
    report(asked.output)


def measured(weights: Path, folder: Path) -> dict[str, Any]:
    """Test all networks on all test images."""
    data = load(DataSpec(name="cifar10", normalize="kth"), root=folder)
    networks: list[Mapping[str, Any]] = []
    for label, name, ratios, accuracy, loss in NETWORKS:
        model = create_model("kth_resnet52", se=None if ratios is None else SESpec(reduction=ratios))
        load_weights(model, read_weights(weights / f"{name}.safetensors"), origin="kth")
        tested = evaluate(
            model, data.test, num_classes=len(data.classes), batch_size=100
        )  # two thirds of the time of 500
        print(f"{label}: {tested.correct:,} of {tested.total:,} right", flush=True)
        counts = {"loss": tested.loss, "confusion": tested.confusion, "right": tested.right}
        printed = {"accuracy": accuracy, "loss": loss}
        networks.append({"label": label, "file": name, "reduction": ratios, "table3": printed, **counts})
    return {
        "command": COMMAND,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread, a machine shared with other work",
        "torch": torch.__version__,
        "classes": data.classes,
        "data": data.fingerprint,
        "networks": networks,
    }


if __name__ == "__main__":
    main()
