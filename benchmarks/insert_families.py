"""Insert blocks with the default options into one small member of every family, and write what happens to INSERT.md.

    python benchmarks/insert_families.py              # all, about 20 minutes on two cores
    python benchmarks/insert_families.py resnet18 torchvision:alexnet   # these rows alone; the others stay

Weights are random, statistics and scales of the norms too: with the zero scales of a fresh network the branches
would be zero, and a wrong block in them would not show.
"""

import argparse
import copy
import json
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

import senet
from senet.tables import Table
from senet.text import Markdown

CHECKS = ("equal", "keys", "loads", "gradients", "removed")
HEADS = ("network", "family", "size", "blocks", "own SE", *CHECKS, "seconds", "left out, or the reason")
SCALES = ("gamma", "gamma_1", "gamma_2", "layer_scale", "skipinit_gain")
HERE = Path(__file__).parent

TIMM = """
resnet18 resnet10t resnet26t resnet50_gn resnetblur18 resnetaa34d resnext50_32x4d wide_resnet50_2 resnetv2_18
resnetv2_50x1_bit ecaresnet26t skresnet18 resnest14d res2net50_14w_8s res2next50 resnext26ts gcresnext26ts
legacy_xception xception41 xception41p inception_v3 inception_v4 inception_resnet_v2 inception_next_atto nasnetalarge
pnasnet5large densenet121 densenetblur121d rdnet_tiny dla46_c dla60_res2net dpn48b vovnet39a cspresnet50 cspresnext50
cspdarknet53 darknet17 darknetaa53 cs3darknet_focus_s cs3edgenet_x cspnext_tiny efficientnet_lite0 efficientnet_es
tf_efficientnetv2_b0 mobilenet_edgetpu_v2_xs mobilenetv1_100 mobilenetv2_035 mobilenetv3_small_050
mobilenetv4_conv_small_035 mnasnet_050 fbnetc_100 spnasnet_100 mixnet_s lcnet_035 lcnetv2_small
ghostnet_050 ghostnetv2_100 ghostnetv3_050 repghostnet_050 rexnet_100 regnetx_002 gernet_s repvgg_a0
mobileone_s0 repvit_m0_9 hrnet_w18_small selecsls42 tresnet_m nf_resnet26 eca_nfnet_l0
convnext_atto convnextv2_atto convmixer_768_32 edgenext_xx_small mambaout_femto starnet_s050 fasternet_t0 fastvit_t8
convformer_s18 csatv2 vgg11 vgg11_bn hgnetv2_b0
""".split()
OWN_SE = """
hgnet_tiny seresnet18 legacy_seresnet18 seresnext26ts efficientnet_b0 semnasnet_050 tinynet_e regnety_002
ese_vovnet19b_dw nf_seresnet26 nf_regnet_b0 dm_nfnet_f0 sedarknet21 fbnetv3_b hardcorenas_a regnetz_005
mobilenetv3_large_075
""".split()
HYBRIDS = (
    "coatnet_pico_rw_224 efficientvit_b0 efficientformer_l1 swiftformer_xs lowformer_b0 shvit_s1 cpubone_nano".split()
)
REFUSED = "vit_tiny_patch16_224 swin_tiny_patch4_window7_224 mixer_s32_224 poolformer_s12".split()
TORCHVISION = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 mnasnet0_5 mobilenet_v2
mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnext50_32x4d wide_resnet50_2 shufflenet_v2_x0_5
squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn
""".split()
GROUPS = {
    "convolutional networks of timm": TIMM,
    "classification CNNs of torchvision": [f"torchvision:{name}" for name in TORCHVISION],
    "networks of timm that come with squeeze-and-excitation": OWN_SE,
    "hybrids with attention": HYBRIDS,
    "networks that are not convolutional": REFUSED,
}


@dataclass
class Row:
    """What happened to one network; empty fields were not reached."""

    name: str
    family: str = ""
    size: int = 0
    blocks: int = 0
    own: int = 0
    equal: bool | None = None
    keys: bool | None = None
    loads: bool | None = None
    gradients: bool | None = None
    removed: bool | None = None
    seconds: float = 0.0
    reason: str = ""

    @property
    def good(self) -> bool:
        """All that `insert` promises holds, and the network has blocks now, new ones or its own."""
        return self.blocks + self.own > 0 and all((self.equal, self.keys, self.loads, self.gradients, self.removed))


def build(name: str) -> nn.Module:
    """Make a network with random weights and random norms."""
    if name.startswith("torchvision:"):
        from torchvision import models

        model = models.get_model(name.partition(":")[2], weights=None)
    else:
        import timm

        model = timm.create_model(name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm) and module.weight is not None:
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
        for name, parameter in model.named_parameters():
            last = name.rpartition(".")[2]
            if last in SCALES or (last != "bias" and not parameter.any()):  # of branches: at or near zero at first
                parameter.uniform_(0.1, 1.0, generator=generator)
    return model.eval()


def run(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Run without gradients."""
    with torch.no_grad():
        return model(x)


def input_for(model: nn.Module) -> torch.Tensor:
    """Return a small image where the network takes one, else one of its own size."""
    config = getattr(model, "pretrained_cfg", None) or {}
    own = tuple(config.get("input_size", (3, 224, 224)))[1:]
    for size in ((128, 128), own, (299, 299)):
        x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(2))
        try:
            run(model, x)
        except (RuntimeError, AssertionError, ValueError):
            continue
        return x
    raise RuntimeError("the network runs on no size that was tried")


def try_one(name: str) -> Row:
    """Insert, compare, load, go backward, remove."""
    row = Row(name)
    started = time.monotonic()
    try:
        model = build(name)
        row.family = type(model).__module__.rpartition(".")[2]
        x = input_for(model)
        row.size = x.shape[-1]
        row.own = len(senet.find(model))
        before, state = run(model, x), copy.deepcopy(model.state_dict())
        done = senet.insert(model, shape=tuple(x.shape))
        row.blocks = len(done)
        row.reason = reasons(done)
        row.equal = torch.equal(run(model, x), before)
        row.keys = [key for key in model.state_dict() if key in state] == list(state)
        row.loads = not any(model.load_state_dict(state, strict=True))
        row.gradients = gradients(model, x, done.names)
        senet.remove(model)
        row.removed = list(model.state_dict()) == list(state) and torch.equal(run(model, x), before)
    except Exception as error:  # the table lists whatever a network or `insert` raises
        row.reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    row.seconds = time.monotonic() - started
    return row


def reasons(done: senet.Insertion) -> str:
    """Return why places were left out, each reason once with its number."""
    said = [one.reason.partition(":")[0] for one in done.skipped]
    return "; ".join(f"{said.count(one)} x {one}" for one in dict.fromkeys(said))


def gradients(model: nn.Module, x: torch.Tensor, names: tuple[str, ...]) -> bool:
    """Return whether every block gets a gradient at once, and all its layers do after one step."""
    for step in range(2):
        model.zero_grad()
        out = model(x)
        (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
        for name in names:
            block = model.get_submodule(name)
            parts = list(block.parameters()) if step else list(block.get_submodule(block.layers[-1]).parameters())
            if not all(p.grad is not None and p.grad.isfinite().all() for p in parts):
                return False
            if not any(p.grad.any() for p in parts):
                return False
            with torch.no_grad():
                for p in parts:
                    p -= 1e-3 * p.grad / p.grad.norm().clamp(min=1e-12)
    return True


def count(rows: list[Row], *, refused: bool) -> str:
    """Return how a group did."""
    if refused:
        return f"{sum('is a transformer or a mixer' in row.reason for row in rows)} of {len(rows)} are refused"
    good = [row for row in rows if row.good]
    new = sum(row.blocks > 0 for row in good)
    return f"{len(good)} of {len(rows)} hold every promise, {new} of them get new blocks"


def markdown(rows: list[Row]) -> Iterator[str]:
    """Write the table."""
    import timm
    import torchvision

    yield "# `senet.insert` with its default options, network by network\n\n"
    yield "Made by `python benchmarks/insert_families.py`; small members of each family, random weights and norms, "
    yield f"CPU, torch {torch.__version__}, timm {timm.__version__}, torchvision {torchvision.__version__}.\n"
    yield "An input of 128 pixels where the network takes one, its own size elsewhere.\n\n"
    yield "- equal: the output in evaluation mode is the same bit for bit after the insertion (`torch.equal`).\n"
    yield "- keys: all state-dict keys of the host stay, in their order; loads: its old state dict loads strictly.\n"
    yield "- gradients: every block's last layer gets one at once, all its layers after a step.\n"
    yield "- removed: after `senet.remove` keys and output are as before.\n"
    yield "- own SE: blocks that the network came with; `insert` leaves them and their units alone.\n"
    yield "- seconds: building, all these checks and the insertion, on a shared two-core machine.\n"
    by_name = {row.name: row for row in rows}
    for title, names in GROUPS.items():
        group = [by_name[name] for name in names if name in by_name]
        yield f"\n## {title[0].upper()}{title[1:]}: {count(group, refused=names is REFUSED)}\n\n"
        rows_of_group = []
        for row in group:
            marks = (row.equal, row.keys, row.loads, row.gradients, row.removed)
            said = [{True: "yes", False: Markdown("**no**"), None: "-"}[mark] for mark in marks]
            counts = (str(row.size or "-"), row.blocks, row.own)
            name = row.name.rpartition(":")[2]
            rows_of_group.append((name, row.family, *counts, *said, f"{row.seconds:.0f}", Markdown(row.reason)))
        yield Table(HEADS, rows_of_group, words=("family", *CHECKS, HEADS[-1])).markdown()


def committed(text: str) -> list[Row]:
    """Read the rows of a table that `markdown` wrote."""
    rows, prefix = [], ""
    marks = {"yes": True, "**no**": False, "-": None}
    for line in text.splitlines():
        if line.startswith("## "):
            prefix = "torchvision:" if "of torchvision" in line else ""
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 12 and cells[2].lstrip("-").isdigit() | (cells[2] == "-"):
            size, blocks, own = (0 if cell == "-" else int(cell) for cell in cells[2:5])
            said = (marks[cell] for cell in cells[5:10])
            rows.append(Row(prefix + cells[0], cells[1], size, blocks, own, *said, float(cells[10]), cells[11]))
    return rows


def main() -> None:
    """Try what is asked for, and write the table: all of it, or with the rows that were asked for replaced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks whose rows are made again; default all")
    parser.add_argument("--rows", type=Path, help="file that keeps finished rows, to go on after a stop")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    if asked.rows and asked.rows.exists():
        rows = [Row(**json.loads(line)) for line in asked.rows.read_text("utf-8").splitlines()]
    known = {row.name for row in rows}
    for name in asked.names or [name for names in GROUPS.values() for name in names]:
        if name in known:
            continue
        row = try_one(name)
        rows.append(row)
        print("ok  " if row.good else "miss", row, file=sys.stderr, flush=True)
        if asked.rows:
            with asked.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
    table = HERE / "INSERT.md"
    if asked.names:
        rows = [*committed(table.read_text("utf-8")), *rows]  # of two rows of a name the later one holds
    table.write_text("".join(markdown(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
