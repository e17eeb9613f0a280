"""The KTH report's pictures from its authors' own networks: confusion matrices and accuracy by class, side by side.

Their weights are public (nlindqv/RRs-in-SENets) and not part of this repository; what is drawn from them here is.

    python benchmarks/kth_pictures.py --weights DIR --data-dir DIR

`DIR` of the weights holds `plain_resnet50_cifar10_baseline.safetensors`, `se_resnet50_cifar10_r8-8-8.safetensors` and,
where somebody has it, `se_resnet50_cifar10_r8-2-16.safetensors`; a network that is not there is named as missing.
"""

import argparse
import csv
import math
from collections.abc import Sequence
from pathlib import Path

from senet.data import DataSpec, load
from senet.files.atomic import write_text
from senet.models import create_model
from senet.reports.confusion import Answers, class_csv, confusion_csv, draw_classes, draw_confusion
from senet.reports.looks import looks
from senet.spec import SESpec
from senet.tables import Table
from senet.training.evaluation import Evaluation, evaluate
from senet.weights import load_weights
from senet.weights.safe import read_weights

# the labels of our pictures, file, ratios, and the accuracy [%] and loss of the report's Table 3
NETWORKS = (
    ("ResNet-52", "plain_resnet50_cifar10_baseline", None, 90.97, 0.4803),
    ("SE-ResNet-52 (8, 8, 8)", "se_resnet50_cifar10_r8-8-8", (8, 8, 8), 91.17, 0.4669),
    ("SE-ResNet-52 (8, 2, 16)", "se_resnet50_cifar10_r8-2-16", (8, 2, 16), 91.53, 0.4652),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder of the authors' weights")
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies")
    parser.add_argument("-o", "--output", type=Path, default=Path("studies/reports/kth_authors"))
    parser.add_argument("--redraw", action="store_true", help="draw the matrices of confusion.csv again, test nothing")
    asked = parser.parse_args()
    if asked.redraw:
        pictures(drawn_before(asked.output / "confusion.csv"), asked.output)
        return
    if asked.weights is None or asked.data_dir is None:
        parser.error("--weights and --data-dir are missing")
    data = load(DataSpec(name="cifar10", normalize="kth"), root=asked.data_dir)
    rows: list[Sequence[object]] = []
    found = []
    for label, name, ratios, accuracy, loss in NETWORKS:
        path = asked.weights / f"{name}.safetensors"
        if not path.exists():
            rows.append((label, "missing", "missing", accuracy, "missing", loss))
            print(f"{label}: missing, {path.name} is not there")
            continue
        model = create_model("kth_resnet52", se=None if ratios is None else SESpec(reduction=ratios))
        load_weights(model, read_weights(path), origin="kth")
        tested = evaluate(model, data.test, num_classes=10)
        print(f"{label}: {tested.correct:,} of {tested.total:,} right", flush=True)
        rows.append((label, tested.correct, with_error(tested), accuracy, f"{tested.loss:.4f}", loss))
        found.append(Answers(label=label, classes=data.classes, confusion=tested.confusion))
    asked.output.mkdir(parents=True, exist_ok=True)
    pictures(found, asked.output)
    write_text(asked.output / "confusion.csv", confusion_csv(found))
    write_text(asked.output / "per_class.csv", class_csv(found))
    write_text(asked.output / "report.md", report(rows, found))


def pictures(found: list[Answers], folder: Path) -> None:
    draw_confusion(found, folder / "confusion.png")
    designs = {label: "plain" if ratios is None else str(SESpec(reduction=ratios)) for label, _, ratios, *_ in NETWORKS}
    draw_classes(found, folder / "per_class.png", styles=looks([designs[one.label] for one in found]))


def drawn_before(path: Path) -> list[Answers]:
    """Read the networks of a `confusion.csv`, in its order."""
    counts: dict[str, dict[str, list[int]]] = {}
    for row in csv.DictReader(path.read_text("utf-8").splitlines()):
        counts.setdefault(row["network"], {}).setdefault(row["class"], []).append(int(row["images"]))
    return [
        Answers(label=label, classes=tuple(rows), confusion=tuple(map(tuple, rows.values())))
        for label, rows in counts.items()
    ]


def with_error(tested: Evaluation) -> str:
    """Write the accuracy with its binomial standard error."""
    share = tested.correct / tested.total
    return f"{100 * share:.2f} ± {100 * math.sqrt(share * (1 - share) / tested.total):.2f}"


def report(rows: Sequence[Sequence[object]], found: list[Answers]) -> str:
    """Write the report: table, what the differences mean, pictures."""
    points = {one.label: 100 * one.correct / one.total for one in found}
    first = found[0].label
    differences = "\n".join(
        f"{label} has {points[label] - points[first]:+.2f} points against {first}." for label in list(points)[1:]
    )
    heads = ("network", "right", "top-1 [%] ± standard error", "Table 3", "test loss", "Table 3")
    table = Table(heads, rows).markdown()
    return f"""# KTH: the authors' own networks, tested here

Source: Holm, Lindqvist and Persson, Investigating the Role of the Reduction Ratio in Squeeze-and-Excitation Networks,
Table 3; their public weights, loaded by name into `kth_resnet52` (`origin="kth"`) with their preprocessing
(`data.normalize=kth`), all 10,000 test images of CIFAR-10 once each.

{table}
The standard errors are binomial, of one trained network on 10,000 images; that of another training is not in them.
{differences}
Our loss is not clipped; Keras clips probabilities at 1e-7, and with that clip `tests/weights/test_kth.py` finds their
fourth digit. Training curves need runs: `senet run studies/kth_table3.toml` draws them, and these pictures, for the
networks it trains.

![confusion matrices](confusion.png)

![accuracy by class, with binomial standard errors](per_class.png)

Made by `python benchmarks/kth_pictures.py --weights DIR --data-dir DIR`; numbers in
[confusion.csv](confusion.csv) and [per_class.csv](per_class.csv).
"""


if __name__ == "__main__":
    main()
