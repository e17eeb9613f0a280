"""Take networks of others through everything that senet does to a network, and write what happens to FOREIGN.md.

    pip install monai timm torchvision transformers segmentation-models-pytorch dynamic-network-architectures
    python benchmarks/foreign.py                    # all, some 15 minutes on two cores; goes on where it was stopped
    python benchmarks/foreign.py "smp Unet" --again # rows by a part of their name, measured anew

Weights are random; a network whose library is not installed is left out. Each step starts from a new copy with the
same weights. A step is right if the network's own tensors are the same objects with the same versions and values
afterwards, and if its output is as promised, or if it is refused by one of senet's errors.
"""

import argparse
import copy
import json
import logging
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

import senet
from senet.errors import SenetError
from senet.tables import Table
from senet.text import Markdown

HERE = Path(__file__).parent
LIMIT = 180  # seconds for one step
CLOSE = 1e-4  # relative difference of outputs up to which a rewritten network is equal
Network = tuple[str, Callable[[], nn.Module], tuple[int, ...]]
"""The package it needs, how it is built, and its input."""


class Unit(nn.Module):
    """A residual unit in any number of dimensions."""

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        conv, norm = getattr(nn, f"Conv{dims}d"), getattr(nn, f"BatchNorm{dims}d")
        self.conv1, self.bn1 = conv(width, width, 3, padding=1), norm(width)
        self.conv2, self.bn2 = conv(width, width, 3, padding=1), norm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch."""
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Body(nn.Module):
    """A stem, a pool, two units, a head; subclasses add what makes trouble."""

    def __init__(self, dims: int = 2, inputs: int = 3) -> None:
        super().__init__()
        self.stem = getattr(nn, f"Conv{dims}d")(inputs, 16, 3, padding=1)
        self.pool = getattr(nn, f"MaxPool{dims}d")(2)
        self.one, self.two, self.head = Unit(dims, 16), Unit(dims, 16), nn.Linear(16, 5)

    def features(self, x: Tensor) -> Tensor:
        """Return the last map."""
        return self.two(self.one(self.pool(torch.relu(self.stem(x)))))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.features(x).flatten(2).mean(2))


class TwoNames(Body):
    """Every unit is registered twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([self.one, self.two])


class Grid(Body):
    """A grid is made once for each size and kept in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.grid: list[Tensor | None] = [None]

    def features(self, x: Tensor) -> Tensor:
        """Return the last map."""
        x = super().features(x)
        if self.grid[0] is None or self.grid[0].shape != x.shape[-2:]:
            self.grid[0] = torch.linspace(0, 1, x.shape[-1], device=x.device).expand(x.shape[-2:])
        return x + self.grid[0]


class CoordConv(Body):
    """Coordinates are made once for each size and kept as an attribute."""

    def __init__(self) -> None:
        super().__init__(inputs=4)
        self.cached: Tensor | None = None

    def features(self, x: Tensor) -> Tensor:
        """Return the last map."""
        if self.cached is None or self.cached.shape[-2:] != x.shape[-2:]:
            self.cached = torch.linspace(0, 1, x.shape[-1], device=x.device).expand(1, 1, *x.shape[-2:])
        return super().features(torch.cat([x, self.cached.expand(len(x), -1, -1, -1)], 1))


def tied() -> nn.Module:
    model = Body()
    model.two.conv1.weight = model.one.conv1.weight
    return model


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(16, 3), nn.ReLU(), Unit(2, 16))


def nnunet(kind: str, dims: int, **options: object) -> nn.Module:
    from dynamic_network_architectures.architectures import unet

    conv, norm = getattr(nn, f"Conv{dims}d"), getattr(nn, f"InstanceNorm{dims}d")
    blocks = "n_blocks_per_stage" if kind.startswith("Residual") else "n_conv_per_stage"
    shared = {"conv_op": conv, "norm_op": norm, "norm_op_kwargs": {"affine": True}, "nonlin": nn.LeakyReLU}
    stages = {"features_per_stage": (8, 16, 32), "kernel_sizes": 3, "strides": (1, 2, 2), blocks: 2}
    decoder = {"n_conv_per_stage_decoder": 1, "num_classes": 2, "conv_bias": True, "nonlin_kwargs": {"inplace": True}}
    return getattr(unet, kind)(1, 3, **stages, **shared, **decoder, **options)


def monai(kind: str, **options: object) -> nn.Module:
    from monai.networks import nets

    return getattr(nets, kind)(**options)


def smp(kind: str, encoder: str = "resnet18", **options: object) -> nn.Module:
    import segmentation_models_pytorch

    return getattr(segmentation_models_pytorch, kind)(encoder, encoder_weights=None, classes=2, **options)


def torchvision(kind: str, where: str = "", **options: object) -> nn.Module:
    from importlib import import_module

    module = import_module(f"torchvision.models{where}")
    return getattr(module, kind)(weights=None, **options)


def timm(kind: str, **options: object) -> nn.Module:
    import timm as library

    return library.create_model(kind, **options)


def transformers(kind: str, **options: object) -> nn.Module:
    import transformers as library

    return getattr(library, f"{kind}Model")(getattr(library, f"{kind}Config")(**options))


FLAT = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
CUBE = {**FLAT, "spatial_dims": 3}
LEVELS = {"channels": (8, 16, 32), "strides": (2, 2)}
KERNELS = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]}
SMALL = {"hidden_sizes": [16, 32], "depths": [1, 1]}
NNUNET, SMP = "dynamic-network-architectures", "segmentation-models-pytorch"
GREY, RGB, VOLUME = (2, 1, 64, 64), (2, 3, 64, 64), (1, 1, 32, 32, 32)

NETWORKS: Mapping[str, Network] = {
    "nnU-Net PlainConvUNet": (NNUNET, lambda: nnunet("PlainConvUNet", 2), GREY),
    "nnU-Net PlainConvUNet 3-D": (NNUNET, lambda: nnunet("PlainConvUNet", 3), VOLUME),
    "nnU-Net ResidualEncoderUNet": (NNUNET, lambda: nnunet("ResidualEncoderUNet", 2), GREY),
    "nnU-Net PlainConvUNet, deep supervision": (
        NNUNET,
        lambda: nnunet("PlainConvUNet", 2, deep_supervision=True),
        GREY,
    ),
    "monai UNet": ("monai", lambda: monai("UNet", **FLAT, **LEVELS), GREY),
    "monai UNet, residual": ("monai", lambda: monai("UNet", **FLAT, **LEVELS, num_res_units=2), GREY),
    "monai UNet 3-D": ("monai", lambda: monai("UNet", **CUBE, **LEVELS, num_res_units=2), VOLUME),
    "monai AttentionUnet": ("monai", lambda: monai("AttentionUnet", **FLAT, **LEVELS), GREY),
    "monai DynUNet": ("monai", lambda: monai("DynUNet", **FLAT, **KERNELS, deep_supervision=True), GREY),
    "monai DynUNet 3-D, residual": ("monai", lambda: monai("DynUNet", **CUBE, **KERNELS, res_block=True), VOLUME),
    "monai BasicUNet": ("monai", lambda: monai("BasicUNet", **FLAT, features=(8, 8, 16, 32, 32, 8)), GREY),
    "monai BasicUNetPlusPlus": (
        "monai",
        lambda: monai("BasicUNetPlusPlus", **FLAT, features=(8, 8, 16, 32, 32, 8)),
        GREY,
    ),
    "monai SegResNet": ("monai", lambda: monai("SegResNet", **FLAT, init_filters=8), GREY),
    "monai VNet 3-D": ("monai", lambda: monai("VNet"), VOLUME),
    "monai HighResNet": ("monai", lambda: monai("HighResNet", **FLAT), GREY),
    "monai DenseNet121": ("monai", lambda: monai("DenseNet121", **FLAT), GREY),
    "monai SEResNet50": ("monai", lambda: monai("SEResNet50", spatial_dims=2, in_channels=1, num_classes=3), GREY),
    "monai EfficientNet-B0": (
        "monai",
        lambda: monai("EfficientNetBN", model_name="efficientnet-b0", pretrained=False, in_channels=1),
        GREY,
    ),
    "smp Unet": (SMP, lambda: smp("Unet"), RGB),
    "smp Unet, scse": (SMP, lambda: smp("Unet", decoder_attention_type="scse"), RGB),
    "smp Unet, efficientnet": (SMP, lambda: smp("Unet", "efficientnet-b0"), RGB),
    "smp UnetPlusPlus": (SMP, lambda: smp("UnetPlusPlus"), RGB),
    "smp MAnet": (SMP, lambda: smp("MAnet"), RGB),
    "smp Linknet": (SMP, lambda: smp("Linknet"), RGB),
    "smp FPN": (SMP, lambda: smp("FPN"), RGB),
    "smp PSPNet": (SMP, lambda: smp("PSPNet"), RGB),
    "smp DeepLabV3Plus": (SMP, lambda: smp("DeepLabV3Plus"), RGB),
    "torchvision fcn_resnet50": (
        "torchvision",
        lambda: torchvision("fcn_resnet50", ".segmentation", weights_backbone=None),
        RGB,
    ),
    "torchvision lraspp_mobilenet_v3_large": (
        "torchvision",
        lambda: torchvision("lraspp_mobilenet_v3_large", ".segmentation", weights_backbone=None),
        RGB,
    ),
    "torchvision ssdlite320_mobilenet_v3_large": (
        "torchvision",
        lambda: torchvision("ssdlite320_mobilenet_v3_large", ".detection", weights_backbone=None),
        (1, 3, 320, 320),
    ),
    "torchvision fasterrcnn_mobilenet_v3_large_320_fpn": (
        "torchvision",
        lambda: torchvision("fasterrcnn_mobilenet_v3_large_320_fpn", ".detection", weights_backbone=None),
        (1, 3, 320, 320),
    ),
    "torchvision quantizable mobilenet_v3_large": (
        "torchvision",
        lambda: torchvision("mobilenet_v3_large", ".quantization", quantize=False),
        RGB,
    ),
    "torchvision r3d_18": ("torchvision", lambda: torchvision("r3d_18", ".video"), (1, 3, 8, 32, 32)),
    "timm coat_lite_tiny": ("timm", lambda: timm("coat_lite_tiny"), (1, 3, 224, 224)),
    "timm resnet18, features": ("timm", lambda: timm("resnet18", features_only=True), RGB),
    "transformers RegNet y": ("transformers", lambda: transformers("RegNet", **SMALL, groups_width=8), RGB),
    "transformers ResNet": ("transformers", lambda: transformers("ResNet", **SMALL, embedding_size=16), RGB),
    "transformers EfficientNet": (
        "transformers",
        lambda: transformers("EfficientNet", width_coefficient=0.5, hidden_dim=640),
        RGB,
    ),
    "transformers ConvNext": ("transformers", lambda: transformers("ConvNext", **SMALL, num_stages=2), RGB),
    "transformers MobileNetV2": ("transformers", lambda: transformers("MobileNetV2", depth_multiplier=0.35), RGB),
    "own 1-D ResNet": ("torch", lambda: Body(1, 12), (2, 12, 128)),
    "own 3-D ResNet": ("torch", lambda: Body(3, 1), (2, 1, 16, 16, 16)),
    "own, modules under two names": ("torch", TwoNames, RGB),
    "own, tied weights": ("torch", tied, RGB),
    "own, a grid in a list": ("torch", Grid, RGB),
    "own, cached coordinates": ("torch", CoordConv, RGB),
    "own, lazy layers": ("torch", lazy, RGB),
}


def leaves(thing: object) -> list[Tensor]:
    """Return the tensors of any output."""
    if isinstance(thing, Tensor):
        return [thing]
    if isinstance(thing, Mapping):
        thing = list(thing.values())
    return [leaf for part in thing for leaf in leaves(part)] if isinstance(thing, list | tuple) else []


def marks(model: nn.Module) -> dict[str, tuple[object, ...]]:
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: (id(one), one._version, one.data_ptr(), one.device.type) for name, one in tensors}


def difference(got: list[Tensor], wanted: list[Tensor]) -> float:
    if [one.shape for one in got] != [one.shape for one in wanted]:
        return float("inf")
    worst = 0.0
    for one, other in zip(got, wanted, strict=True):
        scale = max(float(other.double().abs().max()), 1e-6) if other.numel() else 1.0
        worst = max(worst, float((one.double() - other.double()).abs().max()) / scale if other.numel() else 0.0)
    return worst


class Subject:
    """A fresh copy of a network, with what it gave before."""

    def __init__(self, build: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self.model, self.shape = build().eval(), shape
        self.x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        self.lists = "Generalized" in type(self.model).__name__ or "SSD" in type(self.model).__name__
        self.before = [] if any(map(nn.parameter.is_lazy, self.model.parameters())) else self.run(self.model)
        self.marks = marks(self.model) if self.before else {}

    def run(self, model: nn.Module) -> list[Tensor]:
        """Return the tensors that a network gives for the images."""
        with torch.no_grad():
            return [one.clone() for one in leaves(model(list(self.x) if self.lists else self.x))]

    def wrong(self, limit: float = 0.0, model: nn.Module | None = None, *, touched: bool = False) -> str:
        """Return what is not as promised, or an empty text."""
        if not self.before:
            return ""
        now = marks(self.model)
        lost = [name for name, mark in self.marks.items() if now.get(name) != mark]
        if lost and not touched:
            return f"{len(lost)} of {len(self.marks)} tensors changed"
        error = difference(self.run(model or self.model), self.before)
        return f"the output differs by {error:.0e}" if error > limit else ""


def do_cost(one: Subject) -> str:
    counted = senet.cost(one.model, shape=one.shape)
    return one.wrong() or f"{counted.macs / 1e6:.0f} M"


def do_plan(one: Subject) -> str:
    planned = senet.plan(one.model, senet.SESpec(reduction=4), shape=(1, *one.shape[1:]))
    return one.wrong() or f"{len(planned)}, {100 * planned.gated / max(planned.convolutions, 1):.0f} %"


def do_insert(one: Subject) -> str:
    done = senet.insert(one.model, senet.SESpec(reduction=4), shape=(1, *one.shape[1:]))
    return one.wrong() or f"{len(done)}"


def do_remove(one: Subject) -> str:
    keys = list(one.model.state_dict())
    senet.insert(one.model, senet.SESpec(reduction=4), shape=(1, *one.shape[1:]))
    gone = senet.remove(one.model)
    return one.wrong() or ("keys differ" if list(one.model.state_dict()) != keys else f"{len(gone)}")


def do_accelerate(one: Subject) -> str:
    report = senet.accelerate(one.model)
    wrong = one.wrong(CLOSE)
    senet.decelerate(one.model)
    return wrong or one.wrong() or f"{len(report.fused)} fused"


def do_optimize(one: Subject) -> str:
    fast = senet.optimize(one.model, shape=(1, *one.shape[1:]))
    return one.wrong() or one.wrong(CLOSE, fast) or f"{len(fast.report.norms)} norms"


def do_fold(one: Subject) -> str:
    if not any(not found.parts for found in senet.find(one.model)):
        senet.insert(one.model, senet.SESpec(reduction=4), preserve=False, shape=(1, *one.shape[1:]))
        one.before, one.marks = one.run(one.model), marks(one.model)
    report = senet.fold(one.model, [one.x], dry_run=True, tolerance=None)
    return one.wrong() or f"{sum(block.rank is not None for block in report.blocks)} of {len(report.blocks)}"


STEPS = {
    "cost": do_cost,
    "plan": do_plan,
    "insert": do_insert,
    "remove": do_remove,
    "accelerate": do_accelerate,
    "optimize": do_optimize,
    "fold": do_fold,
}


def measured(network: Network) -> dict[str, str]:
    """Take one network through all steps."""
    _, build, shape = network
    row = {}
    for name, step in STEPS.items():
        signal.alarm(LIMIT)
        try:
            one = Subject(build, shape)
            try:
                said = step(one)
                row[name] = said if said[:1].isdigit() else f"WRONG: {said}"
            except SenetError as error:
                wrong = one.wrong(touched=name == "accelerate")
                row[name] = f"WRONG: {wrong}" if wrong else f"refused: {error}"
        except TimeoutError:
            row[name] = f"WRONG: longer than {LIMIT} s"
        except Exception as error:
            row[name] = f"WRONG: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        finally:
            signal.alarm(0)
    return row


def versions() -> dict[str, str]:
    found = {}
    for package in ("torch", "torchvision", "timm", "monai", "transformers", SMP, NNUNET):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def report(rows: Mapping[str, dict[str, str]], made: Mapping[str, str], skipped: list[str]) -> str:
    said = [(f"{name}, {step}", row[step].partition(": ")) for name, row in rows.items() for step in row]
    wrong = [f"{place}: {reason}" for place, (kind, _, reason) in said if kind == "WRONG"]
    refused = [f"{place}: {reason}" for place, (kind, _, reason) in said if kind == "refused"]
    by_optimize = sum(row["optimize"].startswith("refused") for row in rows.values())
    cells = sum(map(len, rows.values()))
    lines = [
        "# Networks of others, through everything",
        "",
        "Made by `python benchmarks/foreign.py`; random weights, CPU, "
        + ", ".join(f"{name} {number}" for name, number in made.items())
        + ".",
        "Every step has a fresh copy of the network. But for the wrong ones, its tensors are then the same objects",
        "with the same versions, and its output is equal: bit for bit after cost, plan, insert, remove and fold (a dry",
        f"run), within {CLOSE:g} relative in the accelerated and the optimized network.",
        "",
        "- cost: multiply-adds of one image; plan: blocks, and the share of the convolutions in units with one.",
        "- insert, remove: blocks; accelerate: norms that run fused; optimize: norms that are folded.",
        "- fold: blocks that could be replaced, of all; without own blocks, ones with random weights come first.",
        "",
        f"{len(rows)} networks, {cells} steps: {cells - len(wrong) - len(refused)} right, "
        f"{len(refused)} refused with a reason ({by_optimize} by optimize), **{len(wrong)} wrong**.",
        "",
    ]
    marked = []
    for name, row in rows.items():
        short = [text.partition(":")[0] if text[:1] in "Wr" else text for text in (row[step] for step in STEPS)]
        marked.append([name, *(Markdown("**WRONG**") if one == "WRONG" else one for one in short)])
    lines.append(Table(["network", *STEPS], marked).markdown().rstrip())
    for title, reasons in (("Wrong", wrong), ("Refused", refused)):
        lines += ["", f"## {title}", "", *(f"- {escape(one)}" for one in reasons)] if reasons else []
    missing = [name for name in NETWORKS if name not in rows and name not in skipped]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    if skipped:
        lines += ["", f"Left out, as their library is not installed: {', '.join(skipped)}."]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", r"\*")


def selected(patterns: list[str]) -> Iterator[str]:
    for name in NETWORKS:
        if not patterns or any(pattern in name for pattern in patterns):
            yield name


def timed_out(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of names of rows; none stands for all")
    parser.add_argument("--again", action="store_true", help="measure rows anew that are there")
    parser.add_argument("--rows", type=Path, default=HERE / "foreign.json", help="where the rows are kept")
    parser.add_argument("--out", type=Path, default=HERE / "FOREIGN.md")
    parser.add_argument("--table", action="store_true", help="write the table of the rows that are there")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGALRM, timed_out)
    kept = json.loads(asked.rows.read_text("utf-8")) if asked.rows.is_file() else {"versions": {}, "rows": {}}
    made, rows = kept["versions"], kept["rows"]
    there, skipped = versions(), []
    for name in () if asked.table else selected(asked.names):
        if NETWORKS[name][0] not in there:
            skipped.append(name)
        elif asked.again or name not in rows:
            start = time.perf_counter()
            rows[name] = measured(NETWORKS[name])
            made.update(there)
            asked.rows.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
            print(f"{time.perf_counter() - start:5.0f} s  {name}: {rows[name]}", flush=True)
    in_order = {name: copy.copy(rows[name]) for name in NETWORKS if name in rows}
    asked.out.write_text(report(in_order, made, skipped), "utf-8")
    print(f"written: {asked.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
