"""The check of an exported file: its outputs are those of the network, or it is not written.

Letters in shapes: n images, c channels, *s sizes, *k outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import NumericError, SpecError, reason_of
from senet.exporting.example import Example, output_of
from senet.surgery.folding.answers import class_of

__all__ = ["LIMIT", "Check", "check", "second_size"]

LIMIT = 1e-5
"""Largest difference of an output, relative to the largest output of the batch [1]."""
Run = Callable[[Float[Tensor, "n c *s"]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison of an exported file with its network.

    Attributes:
        weights: `own`, or `random norms`.
        images: `random` or `real`.
        shape: shape of the batch.
        error: largest difference of an output, relative to the largest output [1].
        agree: images with the same class [1]; outputs that are equal within the limit count as one class.
        allowed: largest difference that is allowed [1]: `LIMIT`, or twice what the network itself differs from its own
            outputs in float64, where that is more.
    """

    weights: str
    images: str
    shape: tuple[int, ...]
    error: float
    agree: int
    allowed: float = LIMIT

    def __str__(self) -> str:
        return (
            f"{self.weights} weights, {self.images} images {'x'.join(map(str, self.shape))}: difference "
            f"{self.error:.1e}, {self.agree} of {self.shape[0]} classes agree"
        )


def second_size(model: nn.Module, example: Example) -> tuple[int, ...]:
    """Return another size of images that a network takes.

    Raises:
        SpecError: if it takes none of those that are tried.
    """
    for sizes in example.others():
        try:
            output_of(model, example.images(1, sizes=sizes))
        except Exception:  # other libraries' networks may raise any error
            continue
        return sizes
    tried = " and ".join("x".join(map(str, sizes)) for sizes in example.others())
    raise SpecError(f"{class_of(model)} takes no images of {tried}, so a dynamic size cannot be checked; leave it out.")


def check(
    model: nn.Module,
    run: Run,
    example: Example,
    *,
    weights: str,
    sizes: tuple[int, ...] | None = None,
    real: Sequence[Tensor] = (),
) -> tuple[Check, ...]:
    """Compare an exported file with its network on random images, and on real ones if there are any.

    Args:
        model: the network, in evaluation mode, on the CPU.
        run: runs the file.
        example: the input of the export.
        weights: what the weights are, see `Check`.
        sizes: a second size of images; None without one.
        real: batches of real images, of sizes that the file takes.

    Raises:
        NumericError: if an output differs by more than `LIMIT`, or a class does.
    """
    done: list[Check] = []
    for images, x in _batches(example, sizes, real):
        expected = output_of(model, x).double()
        try:
            found = run(x).double()
        except Exception as error:  # of the runtime's own classes
            raise NumericError(
                f"the exported file fails on a batch {tuple(x.shape)}: {reason_of(error, whole=True)}; nothing was "
                "written. Please report it."
            ) from error
        one = _compared(found, expected, weights=weights, images=images, shape=tuple(x.shape))
        if one.error > LIMIT:
            one = _rounded(model, x, found, one)
        done.append(one)
        if not one.error <= one.allowed or one.agree < len(x):
            raise NumericError(
                f"the outputs of the exported file differ from those of {class_of(model)} ({one}; allowed "
                f"{one.allowed:.1g}), so nothing was written; try another opset or .pt2, and please report it."
            )
    return tuple(done)


def _batches(
    example: Example, sizes: tuple[int, ...] | None, real: Sequence[Tensor]
) -> Iterator[tuple[str, Float[Tensor, "n c *s"]]]:
    for seed, number in enumerate(example.batches):
        yield "random", example.images(number, seed=seed)
    if sizes is not None:
        yield "random", example.images(example.batches[-1], sizes=sizes, seed=len(example.batches))
    yield from (("real", batch) for batch in real)


def _compared(
    found: Float[Tensor, "n *k"],
    expected: Float[Tensor, "n *k"],
    *,
    weights: str,
    images: str,
    shape: tuple[int, ...],
    allowed: float = LIMIT,
) -> Check:
    error, agree = float("inf"), 0
    if found.shape == expected.shape and bool(found.isfinite().all()) and bool(expected.isfinite().all()):
        largest = float(expected.abs().max())
        error = float((found - expected).abs().max()) / largest if largest else float((found != expected).any())
        agree = shape[0]
        if expected.ndim == 2 and expected.shape[1] > 1:
            chosen = expected.gather(1, found.argmax(1, keepdim=True))[:, 0]
            agree = int((expected.amax(1) - chosen <= allowed * largest).sum())
    return Check(weights=weights, images=images, shape=shape, error=error, agree=agree, allowed=allowed)


def _rounded(model: nn.Module, x: Float[Tensor, "n c *s"], found: Float[Tensor, "n *k"], one: Check) -> Check:
    """Compare with the outputs in float64, and allow twice the difference that the network has from them itself."""
    exact = output_of(deepcopy(model).double(), x.double())
    same: Any = {"weights": one.weights, "images": one.images, "shape": one.shape}
    own = _compared(output_of(model, x).double(), exact, **same).error
    return _compared(found, exact, **same, allowed=max(LIMIT, 2 * own))
