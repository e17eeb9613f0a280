"""`export`: write a network as a file for other programs, after comparing the file with the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from senet.calls import by_name
from senet.errors import SpecError
from senet.exporting.checking import Check, check, second_size
from senet.exporting.example import Example, OneOutput, example
from senet.exporting.graph import OPSETS, BlockNodes, ensure_installed, save_onnx
from senet.exporting.int8.report import Int8, Quantized
from senet.exporting.int8.search import quantize
from senet.exporting.latency import Latency, latency
from senet.exporting.metadata import metadata_of
from senet.exporting.preparation import prepared
from senet.exporting.program import save_program, to_program
from senet.exporting.randomized import randomize
from senet.exporting.runtime import runner
from senet.fast import optimize as optimized
from senet.files.atomic import ensure_writable, staged
from senet.models import ZOO, image_size
from senet.networks.pretrained import described_network
from senet.printed import Printed
from senet.surgery import Folded, find
from senet.surgery.folding.batches import Batches, parts_of
from senet.surgery.folding.removal import Watch
from senet.weights.config import Preprocessing

__all__ = ["SUFFIXES", "Exported", "export"]

SUFFIXES = (".onnx", ".pt2")
REAL = 64  # images of the user's that are compared


@dataclass(frozen=True, kw_only=True, repr=False)
class Exported(Printed):
    """The report of `export`.

    Attributes:
        path: the file.
        bytes: its size, with the file of its weights if there is one [bytes].
        checks: the comparisons with the network, all within the limit.
        blocks: nodes of every block, by its name; empty for `.pt2`.
        latency: time of one image in torch, in onnxruntime, and there in int8; None for `.pt2`.
        folded: report of the fold; None without one.
        int8: report of the quantisation; None without one. Then the checks are of the file in float that was quantised.
        notes: remarks, one sentence each.
    """

    path: Path
    bytes: int
    checks: tuple[Check, ...]
    blocks: Mapping[str, Sequence[str]]
    latency: Latency | None = None
    folded: Folded | None = None
    int8: Quantized | None = None
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """Largest relative difference of all comparisons [1]."""
        return max(one.error for one in self.checks)

    def __str__(self) -> str:
        images = sum(one.shape[0] for one in self.checks)
        lines = [
            f"{self.path}: {self.bytes / 2**20:.2f} MiB; {len(self.checks)} batches with {images} images agree with "
            f"the network, largest relative difference {self.error:.1e}",
            *([str(self.latency)] if self.latency else []),
            *([str(self.int8)] if self.int8 else []),
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines)


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
        path: `.onnx` or `.pt2`; the folder must exist. An existing file is replaced.
        shape: shape of the images, `(n, c, ...)`; None means that of `images`, else of `origin`, else the network's own
            input size or a common one.
        static: whether the file takes batches of the n of `shape` only; else it takes batches of any size.
        dynamic_size: whether the file takes images of any size that the network takes.
        opset: version of ONNX's operators; None means that of torch's exporter.
        fold: tolerance with which blocks are folded before the export, see `senet.fold` [percentage points]; None
            for no fold. Needs `images`.
        optimize: whether to export what `senet.optimize` returns. Its nodes no longer have the names of the network.
        int8: quantise the file so that its loss is within a bound, see `senet.exporting.int8.search.quantize`; None
            keeps it in float. Needs `images`.
        images: images that the network was trained on, for the fold, int8 and the check, see `senet.fold`.
        test: labelled test images, for the fold and int8.
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
    path, onnx = Path(path), Path(path).suffix == ".onnx"
    if path.suffix not in SUFFIXES:
        raise SpecError(f"path = {str(path)!r} has no suffix that is known; choose one of: {', '.join(SUFFIXES)}.")
    if onnx:
        ensure_installed()
    elif opset is not None:
        raise SpecError(f"opset = {opset} is for .onnx; leave it out for {path.name}.")
    if int8 is not None and (images is None or not onnx or optimize):
        raise SpecError(
            "int8 needs images=batches (--data-dir), a .onnx file and optimize=False: blocks are chosen by name."
        )
    if opset is not None and not OPSETS[0] <= opset <= OPSETS[1]:
        raise SpecError(f"opset = {opset} is not supported; choose {OPSETS[0]} to {OPSETS[1]}, or leave it out.")
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
    if not isinstance(network(given.images(given.shape[0])), Tensor):
        network = OneOutput(network).eval()
    sizes = second_size(network, given) if dynamic_size else None
    real = _real(images, given)

    program = to_program(network, given)
    said = metadata_of(
        network, given, config=config, preprocessing=preprocessing, classes=classes,
        changes={"fold": [] if folded is None else folded.removed, "optimize": optimize},
    )  # fmt: skip

    def write(file: Path) -> BlockNodes:
        return save_onnx(program, given, file, blocks, said, opset) if onnx else save_program(program, file, said)

    with staged(path) as file:
        nodes = write(file)
        checks = check(network, runner(file), given, weights="own", sizes=sizes, real=real)
        quantized, timed = None, dict[str, Path | bytes](onnxruntime=file)
        with TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
            randomize(network)  # the program has the same tensors
            write(Path(folder, file.name))
            checks += check(network, runner(Path(folder, file.name)), given, weights="random norms", sizes=sizes)
        if int8 is not None and images is not None:
            content, quantized = quantize(file, nodes, images, test, int8, watch=watch)
            timed = {"onnxruntime": file.read_bytes(), "int8": content}
            file.write_bytes(content)
        times = latency(network, timed, given) if onnx else None
        size = sum(one.stat().st_size for one in file.parent.iterdir())
    return Exported(
        path=path, bytes=size, checks=checks, blocks=nodes, latency=times, folded=folded, int8=quantized, notes=notes
    )


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
