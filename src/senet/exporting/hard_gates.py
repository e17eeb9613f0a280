"""Replace the sigmoid gates of an ONNX file by hard ones, fitted for each block, and measure what that costs.

A hard sigmoid is `min(1, max(0, alpha * z + beta))`: no exponential, and exact in integers.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from senet.errors import NumericError, SpecError
from senet.exporting.bound import ensure_possible
from senet.exporting.graph import BlockNodes
from senet.exporting.int8.units import scale_of
from senet.networks.exported_network import ExportedNetwork, session_of
from senet.printed import Printed
from senet.surgery.folding.answers import answers, compare
from senet.surgery.folding.batches import Batches, parts_of
from senet.surgery.folding.folded import Measure, Step

__all__ = ["HardGate", "HardGates", "fitted", "harden"]

COMMON = ((1 / 6, 0.5), (0.2, 0.5))  # torch's and Keras's hard sigmoid
LOGITS = 2**18  # of a block, for the fit
ROUNDS = 50
AFFINE = ("Mul", "Add", "Reshape", "Expand", "Unsqueeze", "Squeeze", "Transpose", "Cast", "Identity")
"""Operators between the sigmoid and the product: `2 * sigmoid` and `1 + sigmoid` are gates, too."""
NOTE = "gates"
"""Name of the text in the file that holds alpha and beta of every block."""


@dataclass(frozen=True, kw_only=True)
class HardGate:
    """The hard gate of one block.

    Attributes:
        name: of the block.
        alpha: slope [1].
        beta: value at 0 [1].
        error: root mean square of the change of the gate on the observed logits [1].
    """

    name: str
    alpha: float
    beta: float
    error: float


@dataclass(frozen=True, kw_only=True, repr=False)
class HardGates(Printed):
    """The report of a replacement of gates.

    Attributes:
        gates: the replaced gates, in the order of the network.
        kept: blocks whose gate is not a sigmoid, and stays.
        step: the file compared with the network, see `senet.Folded`; `error` is the relative change of the outputs.
        measure: meaning of the loss.
        images: test images [1].
        max_drop: bound of the loss [percentage points].
    """

    gates: tuple[HardGate, ...]
    kept: tuple[str, ...]
    step: Step
    measure: Measure
    images: int
    max_drop: float

    def __str__(self) -> str:
        step, number = self.step, len(self.gates)
        return (
            f"hard gates in {number} block{'s' * (number != 1)}: {self.measure} {step.loss:+.2f} [{step.low:+.2f}, "
            f"{step.high:+.2f}] points lost on {self.images:,} images, outputs changed by {100 * step.error:.1f} %"
        )


def harden(
    path: Path,
    blocks: Mapping[str, Sequence[str]],
    images: Batches,
    test: Batches | None,
    *,
    max_drop: float,
) -> tuple[BlockNodes, HardGates]:
    """Replace the sigmoid gates of a file by hard ones, in place.

    Args:
        path: the ONNX file.
        blocks: nodes of every block.
        images: images on which the logits are observed.
        test: images on which the outputs are compared; None uses `images`.
        max_drop: largest loss of top-1 at the upper end of its 95 % interval [percentage points].

    Returns:
        The nodes of every block, some with other names; and the report.

    Raises:
        SpecError: if no block has a sigmoid gate, or the images are too few for the bound.
        NumericError: if the loss exceeds the bound.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    nodes = {node.name: node for node in model.graph.node}
    sigmoids = {name: _gate_of([nodes[one] for one in names]) for name, names in blocks.items()}
    found = {name: node for name, node in sigmoids.items() if node is not None}
    if not found:
        reason = "no block has a sigmoid gate" if blocks else "the network has no SE blocks"
        raise SpecError(f"gate = 'hard_sigmoid': {reason}; keep the gates (--gate keep).")
    compared = images if test is None else test
    before = answers(ExportedNetwork(path), compared, place="test")
    ensure_possible(before, max_drop)
    logits = _observed(path, model, {name: node.input[0] for name, node in found.items()}, images)
    gates = tuple(_hard_gate(name, z) for name, z in logits.items())
    renamed: dict[str, str] = {}
    for gate in gates:
        node = found[gate.name]
        renamed[node.name] = node.name.replace("Sigmoid", "HardSigmoid")
        node.op_type, node.name = "HardSigmoid", renamed[node.name]
        for name, value in (("alpha", gate.alpha), ("beta", gate.beta)):
            node.attribute.append(onnx.helper.make_attribute(name, value))
    said = {one.key: one.value for one in model.metadata_props}
    said[NOTE] = json.dumps({gate.name: {"alpha": gate.alpha, "beta": gate.beta} for gate in gates})
    onnx.helper.set_model_props(model, said)
    onnx.save(model, str(path))
    step = compare(
        before, answers(ExportedNetwork(path), compared, place="test"), blocks=len(gates), name="hard gates", params=0
    )
    report = HardGates(
        gates=gates,
        kept=tuple(name for name in blocks if name not in found),
        step=step,
        measure=before.measure,
        images=before.images,
        max_drop=max_drop,
    )
    if step.high > max_drop:
        raise NumericError(
            f"{report}; at most {max_drop:g} are allowed at the upper end (max_drop, --max-drop), so nothing was "
            "written; use a larger bound, more test images, or keep the gates."
        )
    return {name: tuple(renamed.get(one, one) for one in names) for name, names in blocks.items()}, report


def _gate_of(nodes: Sequence[Any]) -> Any | None:
    """Return the sigmoid whose output scales the map of a block, through other functions of it; None without one."""
    scale = scale_of(nodes)
    makers = {value: node for node in nodes for value in node.output}
    waiting = [] if scale is None else [makers[value] for value in scale.input if value in makers]
    while waiting:
        node = waiting.pop()
        if node.op_type == "Sigmoid":
            return node
        if node.op_type in AFFINE:
            waiting += [makers[value] for value in node.input if value in makers]
    return None


def _observed(path: Path, model: Any, values: Mapping[str, str], images: Batches) -> dict[str, Float[Tensor, " m"]]:
    """Return logits of every block: values of the file, by the name of the block."""
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(values.values()))
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp-", suffix=path.suffix) as file:
        file.write(watched.SerializeToString())
        file.flush()
        session = session_of(Path(file.name))
    found: dict[str, list[Tensor]] = {name: [] for name in values}
    for batch in images:
        x = parts_of(batch)[0].cpu().float().contiguous().numpy()
        outputs = session.run([*values.values()], {session.get_inputs()[0].name: x})
        for name, z in zip(values, outputs, strict=True):
            found[name].append(torch.from_numpy(z).flatten())
    logits = {name: torch.cat(parts) for name, parts in found.items()}
    return {name: z[:: 1 + len(z) // LOGITS].double() for name, z in logits.items()}


def fitted(z: Float[Tensor, " m"]) -> tuple[float, float, float]:
    """Return alpha and beta of the hard sigmoid that is nearest to the sigmoid on some logits, and its error.

    The least squares over the logits between its two ends are solved again until these logits no longer change; the
    best of all that were tried counts, of the common hard sigmoids too.

    Args:
        z: logits, in float64.

    Returns:
        Slope, value at 0, and root mean square of the difference [1].

    Example:
        >>> alpha, beta, error = fitted(torch.linspace(-1, 1, 100).double())
        >>> round(alpha, 3), round(beta, 3), round(error, 4)
        (0.238, 0.5, 0.0029)
    """
    wanted = z.sigmoid()

    def error(line: tuple[float, float]) -> float:
        return float(((line[0] * z + line[1]).clamp(0, 1) - wanted).square().mean().sqrt())

    best = line = min(COMMON, key=error)
    for _ in range(ROUNDS):
        at = line[0] * z + line[1]
        inside = (at > 0) & (at < 1)
        if not inside.any():
            break
        columns = torch.stack([z[inside], torch.ones_like(z[inside])], 1)
        slope, shift = torch.linalg.lstsq(columns, wanted[inside, None], driver="gelsd").solution.flatten().tolist()
        if (slope, shift) == line:
            break
        line = slope, shift
        best = min(best, line, key=error)
    return *best, error(best)


def _hard_gate(name: str, z: Float[Tensor, " m"]) -> HardGate:
    alpha, beta, error = fitted(z)
    return HardGate(name=name, alpha=alpha, beta=beta, error=error)
