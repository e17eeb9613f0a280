"""Folders as `senet explain` writes them, with numbers from a seeded generator."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from senet.explanation.page import Explained, write

CHANGES = ("constant", "identity", "shuffle", "class_mean")


def thumbnail(seed: int, size: int = 12) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (3, 3, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((size, size)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def write_explained(
    folder: Path,
    *,
    classes: list[str],
    channels: list[int],
    name: str = "resnet20",
    blocks: list[str] | None = None,
    per_class: int = 20,
    ranks: int = 4,
    seed: int = 0,
    files: str = "image-{}.png",
    pictures: int = 40,
    **changes: Any,
) -> Path:
    """Write `explain.json` and `sums.safetensors` in schema 1.

    Args:
        folder: created if necessary.
        classes: their names.
        channels: of each block.
        name: of the model.
        blocks: their names.
        per_class: images of each class.
        ranks: images of each end of a channel.
        seed: of all numbers.
        files: pattern of the images' names.
        pictures: images that have a thumbnail.
        changes: entries of the document that replace these.
    """
    draw = np.random.default_rng(seed)
    count = per_class * len(classes)
    names = blocks or [f"layer{place + 1}.0.se" for place in range(len(channels))]
    made, sums = [], {}
    for place, (width, block) in enumerate(zip(channels, names, strict=True)):
        one, tables = _block(draw, block, place, width, classes, per_class, ranks, depth=(place + 1) / len(channels))
        made.append(one)
        sums |= {f"{place}.{key}": table for key, table in tables.items()}
    used = sorted(
        {image for one in made for end in one["extremes"].values() for line in end["image"] for image in line}
    )
    document = {
        "schema": 1,
        "made": {
            "senet": "0.1.0",
            "commit": "abc1234",
            "torch": "2.15.0",
            "device": "cpu",
            "command": "senet explain resnet20 --data digits",
            "date": "2026-11-26",
        },
        "model": {"name": name, "design": "standard r=16", "weights_sha256": "0" * 64, "parameters": 274_000},
        "data": {
            "name": "digits",
            "split": "test",
            "held_out": True,
            "images": count,
            "classes": classes,
            "images_per_class": [per_class] * len(classes),
            "top1": 91.5 + seed,
            "loss": 0.31,
            "chance": 1 / len(classes),
            "by": ["brightness"],
            "sample": {
                "images": 512,
                "channels_all": True,
                "text": "Sampled statistics rest on 512 images at even distances.",
            },
        },
        "blocks": made,
        "images": [
            {
                "index": image,
                "label": image % len(classes),
                "name": files.format(image),
                "thumbnail": thumbnail(image) if rank < pictures else None,
            }
            for rank, image in enumerate(used)
        ],
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "explain.json").write_text(json.dumps(document))
    save_file(sums, folder / "sums.safetensors")
    return folder


def read_explained(folder: Path) -> Explained:
    """Read what `write_explained` wrote, and tests changed."""
    return Explained(json.loads((folder / "explain.json").read_text()), load_file(folder / "sums.safetensors"))


def write_page(folder: Path, other: Path | None = None) -> Path:
    """Write the page of one folder, or of two whose blocks belong together by name."""
    explained = [read_explained(path) for path in (folder, other) if path is not None]
    if other is not None:
        names = [[block["name"] for block in one.document["blocks"]] for one in explained]
        pairs = [{"a": name, "b": name, "class_share": None, "importance": {}} for name in names[0] if name in names[1]]
        explained[0].document["other"] = {"differences": {"blocks": pairs}}
    return write(folder, explained)


def _block(
    draw: np.random.Generator,
    name: str,
    place: int,
    width: int,
    classes: list[str],
    per_class: int,
    ranks: int,
    *,
    depth: float,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    common = draw.normal(0, 1, width)
    logits = (common + depth * draw.normal(0, 1.2, (len(classes), width))).astype(np.float32)
    gates = (1 / (1 + np.exp(-logits))).astype(np.float32)
    logit_std = np.full_like(logits, 0.4)
    class_std = (gates * (1 - gates) * 0.4).astype(np.float32)
    groups = (1 / (1 + np.exp(-(common + 0.4 * np.arange(4)[:, None])))).astype(np.float32)
    order = draw.integers(0, per_class * len(classes), (2, width, ranks))
    open_ends = np.sort(np.minimum(1, gates.max(0)[:, None] + draw.random((width, ranks)) * 0.05))[:, ::-1]
    shut_ends = np.sort(np.maximum(0, gates.min(0)[:, None] - draw.random((width, ranks)) * 0.05))
    share = float(gates.var(0).sum() / (gates.var(0) + class_std.mean(0) ** 2).sum())
    counts, edges = np.histogram(gates, bins=50, range=(0, 1))

    def estimate(change: float) -> list[float]:
        return [change, change - 0.02 - abs(change) / 4, change + 0.02 + abs(change) / 4]

    x = np.linspace(-3, 3, 13)
    curve = 0.5 + 0.1 * np.tanh(x)
    block = {
        "name": name,
        "kind": "senet",
        "stage": place + 1,
        "channels": width,
        "hidden": [max(1, width // 16)],
        "parameters": 2 * width * max(1, width // 16),
        "macs": 2 * width * max(1, width // 16),
        "time_percent": 1.5 + place,
        "gate": "sigmoid",
        "gate_range": [0, 1],
        "diagnosis": [
            [{"code": "class_blind", "text": "class-blind, but follows brightness", "severity": "note"}],
            [],
            [{"code": "rank", "text": "hidden width 4, used rank 1.3: try a larger ratio", "severity": "advice"}],
            [{"code": "half", "text": "all gates 0.50: 8 of 8 hidden units never fire", "severity": "defect"}],
        ][place % 4],
        "statistics": {
            "class_share": share,
            "class_share_interval": [share - 0.02, share + 0.02],
            "class_share_chance": 0.0,
            "class_share_eta2": share + 0.01,
            "eta2_chance": 0.01,
            "class_share_p": 0.005,
            "varies": 0.02 + 0.3 * depth,
            "identity": 0.4,
            "identity_scaled": 0.2,
            "open": float((gates > 0.98).mean()),
            "shut": float((gates < 0.02).mean()),
            "half": float((abs(gates - 0.5) < 0.01).mean()),
            "stuck": 0.0,
            "mean": float(gates.mean(dtype=np.float64)),
            "sd": 0.11,
            "class_sd": float(gates.std(0).mean()),
            "hidden_dead": [0.25 * (place % 4 == 3)],
            "hidden_always_on": [0.0],
            "hidden_widths": [max(1, width // 16)],
            "used_rank": 1.3 + place,
            "rank_limit": max(1, width // 16),
            "selectivity": {"gates": 0.1, "before": 0.2, "after": 0.25},
            "information": 0.7 * depth,
            "information_max": float(np.log2(len(classes))),
            "context": {"own": 0.3, "near3": 0.4, "near5": 0.45, "near9": 0.5, "all": None},
        },
        "conditions": {
            "brightness": {
                "share": 0.3,
                "p": 0.005,
                "groups": ["dark", "dim", "light", "bright"],
                "counts": [5, 5, 5, 5],
            }
        },
        "importance": {
            change: {
                "loss": estimate(0.1 * (number + 1) * depth),
                "top1": estimate(-1.5 * number * depth),
                "images": 200,
            }
            for number, change in enumerate(CHANGES)
        },
        "gate_curve": {
            "shares": [0.0, 0.25, 0.5, 0.75, 1.0],
            "rising": [91.0, 90.0, 85.0, 60.0, 10.0],
            "falling": [91.0, 70.0, 40.0, 20.0, 10.0],
            "random": [91.0, 85.0, 70.0, 40.0, 10.0],
            "images": 200,
        },
        "channels_by_name": {
            "mean": gates.mean(0).tolist(),
            "std": class_std.mean(0).tolist(),
            "low": gates.min(0).tolist(),
            "high": gates.max(0).tolist(),
            "information": (depth * draw.random(width)).tolist(),
            "selectivity_gate": [None, *draw.random(width - 1).tolist()],
            "squeeze_mean": draw.random(width).tolist(),
            "squeeze_std": draw.random(width).tolist(),
            "class_share": draw.random(width).tolist(),
            "missing": [0.0] * width,
        },
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "squeeze_curve": {
            "x": x.tolist(),
            "mean": curve.tolist(),
            "low": (curve - 0.1).tolist(),
            "high": (curve + 0.1).tolist(),
        },
        "extremes": {
            "open": {"image": order[0].tolist(), "value": open_ends.tolist()},
            "shut": {"image": order[1].tolist(), "value": shut_ends.tolist()},
        },
    }
    return block, {
        "class_mean": gates,
        "class_std": class_std,
        "logit_mean": logits,
        "logit_std": logit_std,
        "condition.brightness.mean": groups,
    }
