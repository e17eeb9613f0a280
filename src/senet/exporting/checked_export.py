"""`export`: write a network as a file for other programs, after comparing the file with the network."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from senet.calls import by_name
from senet.errors import SpecError, unknown
from senet.exporting.checking import check, second_size
from senet.exporting.example import Example, example
from senet.exporting.exported import Exported
from senet.exporting.graph import OPSETS, BlockNodes, ensure_installed, save_onnx
from senet.exporting.graph_pooling import POOLS, Pool
from senet.exporting.hard_gates import harden
from senet.exporting.int8.report import Int8
from senet.exporting.int8.search import quantize
from senet.exporting.large_weights import replacing
from senet.exporting.latency import latency
from senet.exporting.metadata import metadata_of
from senet.exporting.preparation import prepared
from senet.exporting.program import save_program, to_program
from senet.exporting.randomized import randomize
from senet.exporting.runtime import runner
from senet.fast import optimize as optimized
from senet.files.atomic import ensure_writable, staged
from senet.models import ZOO, image_size
from senet.networks.pretrained import described_network
from senet.surgery import find
from senet.surgery.folding.answers import OneOutput, read_alone
from senet.surgery.folding.batches import Batches, parts_of
from senet.surgery.folding.removal import Watch
from senet.weights.config import Preprocessing

__all__ = ["SUFFIXES", "export"]

SUFFIXES = (".onnx", ".pt2")
Gate = Literal["keep", "hard_sigmoid"]
GATES: tuple[str, ...] = get_args(Gate)
REAL = 64  # images of the user's that are compared


@by_name
def export(
    model: nn.Module,
    path: str | Path,
    *,
    shape: Sequence[int] | None = None,
    static: bool = False,
    dynamic_size: bool = False,
    opset: int | None = None,
    fold: float | None = None,
    optimize: bool = False,
    gate: Gate = "keep",
    max_drop: float = 0.5,
    pool: Pool = "mean",
    int8: Int8 | None = None,
    images: Batches | None = None,
    test: Batches | None = None,
    classes: Mapping[int, str] | None = None,
    preprocessing: Preprocessing | None = None,
    origin: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
) -> Exported:
    """Write a network as an ONNX file or a program of torch.export, and check that its outputs are the same.

    The file is compared with the network before it gets its name: on batches of several sizes, on real images where
    there are any, with the weights as they are and, in a second export, with random norms, because a fresh network's
    branches are zero and hide a wrong one. If an output differs by more than 1e-5 relative, or a class does, nothing
    is written.

    Args:
        model: any network with one input, in float32; it is not changed.
        path: `.onnx` or `.pt2`; its folder is created if necessary. An existing file is replaced.
        shape: shape of the images, `(n, c, ...)`; None means that of `images`, else of `origin`, else the network's own
            input size or a common one.
        static: whether the file takes batches of the n of `shape` only; else it takes batches of any size.
        dynamic_size: whether the file takes images of any size that the network takes.
        opset: version of ONNX's operators; None means that of torch's exporter.
        fold: tolerance with which blocks are folded before the export, see `senet.fold` [percentage points]; None
            for no fold. Needs `images`.
        optimize: whether to export what `senet.optimize` returns. Its nodes no longer have the names of the network.
        gate: `hard_sigmoid` replaces the sigmoids of blocks in the checked file, see
            `senet.exporting.hard_gates.harden`; needs `images`.
        max_drop: largest loss of top-1 by `gate` at the upper end of its 95 % interval [percentage points].
        pool: operator of the means over all positions, see `senet.exporting.graph_pooling.POOLS`.
        int8: quantise the file so that its loss is within a bound, see `senet.exporting.int8.search.quantize`; None
            keeps it in float. Needs `images`. With `gate`, the loss of both together is within the bound.
        images: images that the network was trained on, for the fold, gates, int8 and the check, see
            `senet.fold`.
        test: labelled test images, for the fold, gates and int8.
        classes: name of the class of every output, for the file; None if they are not known.
        preprocessing: of the images, for the file; None uses that of `origin`.
        origin: arguments of `save_pretrained` that describe the network, for the file.
        watch: function that is called with the progress of the fold and of int8.

    Returns:
        The comparisons, the latency and what the file contains.

    Raises:
        SpecError: if an argument does not fit, or the network cannot be exported.
        NumericError: if the outputs of the file are not those of the network.
        StorageError: if the file cannot be written; then nothing remains of it.
        UsageError: if onnx, onnxscript or onnxruntime is not installed.

    Example:
        >>> export(network, "network.onnx", shape=(1, 3, 224, 224))  # doctest: +SKIP
    """
    path = Path(path)
    _ensure_possible(path, gate=gate, pool=pool, opset=opset, int8=int8, optimize=optimize, images=images)
    onnx = path.suffix == ".onnx"
    if not path.parent.is_dir():
        ensure_writable(path.parent)
    network, folded, notes = prepared(model, fold=fold, images=images, test=test, watch=watch)
    config = None
    if origin is not None:
        try:
            config = described_network(network, **origin)
        except SpecError as error:
            notes += (f"the file does not say how to rebuild the network: {error}",)
    shape = shape or _shape(images, origin)
    given = example(network, shape=shape, static=static, dynamic_size=dynamic_size)
    blocks = [one.modules for one in find(network)]
    if optimize:
        network, blocks = optimized(network, shape=given.shape), []
    if not isinstance(out := network(given.images(given.shape[0])), Tensor):
        network = OneOutput(network).eval()
        notes += (f"the file has one output: {read_alone(out)}",)
    sizes = second_size(network, given) if dynamic_size else None
    real = _real(images, given)

    program = to_program(network, given)
    said = metadata_of(
        network, given, config=config, preprocessing=preprocessing, classes=classes,
        changes={"fold": [] if folded is None else folded.removed, "optimize": optimize,
                 "pool": pool},
    )  # fmt: skip

    def write(file: Path) -> BlockNodes:
        return save_onnx(program, given, file, blocks, said, opset, pool) if onnx else save_program(program, file, said)

    with replacing(path), staged(path) as file:
        nodes = write(file)
        checks = check(network, runner(file), given, weights="own", sizes=sizes, real=real)
        with TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
            randomize(network)  # the program has the same tensors
            write(Path(folder, file.name))
            checks += check(network, runner(Path(folder, file.name)), given, weights="random norms", sizes=sizes)
        hard, quantized = None, None
        timed: dict[str, Path | bytes] = {"onnxruntime": file}
        before = file.with_name(".before.onnx")  # in the same folder, as is the file of large weights
        if gate != "keep" and images is not None:
            shutil.copyfile(file, before)
            nodes, hard = harden(file, nodes, images, test, max_drop=max_drop)
            timed = {"onnxruntime": before, "hard gates": file}
        if int8 is not None and images is not None:
            reference = timed["onnxruntime"]
            content, quantized = quantize(file, nodes, images, test, int8, reference=reference, watch=watch)
            quantized = replace(quantized, folded=() if folded is None else folded.removed)
            timed |= {list(timed)[-1]: file.read_bytes(), "int8": content}
            file.write_bytes(content)
        times = latency(network, timed, given) if onnx else None
        before.unlink(missing_ok=True)
        size = sum(one.stat().st_size for one in file.parent.iterdir())
    return Exported(
        path=path,
        bytes=size,
        checks=checks,
        blocks=nodes,
        latency=times,
        folded=folded,
        gates=hard,
        int8=quantized,
        notes=notes,
    )


def _ensure_possible(
    path: Path, *, gate: Gate, pool: Pool, opset: int | None, int8: Int8 | None, optimize: bool, images: Batches | None
) -> None:
    """Raise an error if arguments do not fit together, or a library is missing."""
    if path.suffix not in SUFFIXES:
        raise SpecError(f"path = {str(path)!r} has no suffix that is known; choose one of: {', '.join(SUFFIXES)}.")
    for name, value, allowed in (("gate", gate, GATES), ("pool", pool, POOLS)):
        if value not in allowed:
            raise unknown(name, value, allowed)
    onnx = path.suffix == ".onnx"
    if onnx:
        ensure_installed()
    else:
        given = {"opset": (opset, None), "gate": (gate, "keep"), "pool": (pool, "mean")}
        for name, (asked, default) in given.items():
            if asked != default:
                raise SpecError(f"{name} = {asked} is for .onnx; leave it out for {path.name}.")
    for name, needed in (("int8", int8 is not None), ("gate", gate != "keep")):
        if needed and (images is None or not onnx or optimize):
            raise SpecError(
                f"{name} needs images=batches (--data-dir), a .onnx file and optimize=False: blocks are chosen by name."
            )
    if opset is not None and not OPSETS[0] <= opset <= OPSETS[1]:
        raise SpecError(f"opset = {opset} is not supported; choose {OPSETS[0]} to {OPSETS[1]}, or leave it out.")


def _shape(images: Batches | None, origin: Mapping[str, Any] | None) -> tuple[int, ...] | None:
    """Return the shape of the images, or of those that the network was made for; None if neither is known."""
    if images is not None:
        return tuple(parts_of(next(iter(images)))[0].shape)
    made = dict(origin or {})
    seen, short = made.get("preprocessing"), str(made.get("name", "")).removeprefix("senet:")
    side = seen.size if seen else made.get("image_size") or (image_size(short) if short in ZOO else None)
    return (1, made.get("in_chans", 3), side, side) if side else None


def _real(images: Batches | None, given: Example) -> list[Tensor]:
    """Return batches of real images of the sizes that are checked, and one of the others."""
    if images is None:
        return []
    x = torch.cat([parts_of(batch)[0].cpu().float() for batch in islice(images, 2)])[:REAL]
    if x.shape[2:] != given.shape[2:]:
        raise SpecError(f"images of shape {tuple(x.shape)} do not fit shape = {given.shape}; leave shape out.")
    sizes, left = [], len(x)
    for number in (*given.batches, left) if given.batch else given.batches * (left // given.shape[0]):
        sizes.append(min(number, left))
        left -= sizes[-1]
    return [part for part in torch.split(x[: sum(sizes)], sizes) if len(part)]
