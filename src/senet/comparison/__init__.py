"""The public `compare`: designs trained with the same seeds, by `senet` or a user-supplied function."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from senet.calls import refuse_unknown
from senet.comparison.by_function import Train, by_function
from senet.comparison.by_runs import by_runs
from senet.comparison.designs import Designs
from senet.comparison.found import Comparison
from senet.errors import SpecError, shown
from senet.experiments.setup import Setup
from senet.spec import SESpec

__all__ = ["Comparison", "compare"]


@overload
def compare(
    train: Train,
    designs: Designs,
    /,
    *,
    model: str | Callable[[], Any] | None = None,
    seeds: int | str | Sequence[int] = 5,
    max_seeds: int = 20,
    margin: float = 0.5,
    baseline: str = "plain",
    values: str | Path | None = None,
) -> Comparison: ...


@overload
def compare(
    model: str,
    data: str | Path | Mapping[str, Any] | tuple[Any, Any],
    designs: Sequence[str | SESpec | Sequence[SESpec]],
    /,
    *,
    seeds: int | str | Sequence[int] = 5,
    max_seeds: int = 20,
    margin: float = 0.5,
    baseline: str = "plain",
    recipe: str | Mapping[str, Any] | None = None,
    weights: str | None = None,
    runs: str | Path = "runs",
    setup: Setup | None = None,
    retry_failed: bool = False,
    cost: bool = True,
    equal_time: bool = False,
) -> Comparison: ...


def compare(first: Any, second: Any, third: Any = None, /, **options: Any) -> Comparison:  # noqa: D417 - of both forms
    """Train with each design and each seed, and compare the designs with the baseline, seed by seed.

    `compare(train, designs)` calls a user-supplied training function, so that detection, segmentation and other
    trainers have the same table and verdicts as `senet compare`. It is called seed by seed, and pairs are only as good
    as it makes them: draw weights, order and augmentation from the seed alone. Only its numbers are known, so the
    intervals cover the spread over seeds and not the choice of the test images.

    `compare(model, data, designs)` does what the command does: the runs are in a folder, those that are there already
    are read, intervals cover the test images too, and the cost of the designs is measured.

    Args:
        train: function of a design and a seed that trains and returns the accuracy in percent, or another measure from
            0 to 100 where more is better. With `model` it receives the network in place of the design.
        model: network, as in `senet.experiments.run.Run.model`: a name, `timm:NAME`, `FILE.py:FUNCTION`, a folder. For
            `train` also a function that builds a network: `train` then receives the network with the blocks of the
            design, whose shared layers have the same weights for equal seeds. None passes the design itself.
        data: name of a data set, its folder, fields of `DataSpec`, or the images themselves: a pair of training and
            test set, each a pair `(images, labels)` of arrays or tensors, or a `DataLoader` (see
            `senet.data.arrays.from_memory`).
        designs: designs in words (`"standard:reduction=8"`) or specs; `train` receives a tuple of specs, empty for the
            plain network. For `train` also a mapping of names to anything that it takes, e.g. builders of networks.
        seeds: number of seeds, which are then 0, 1, ...; the seeds; or `auto`, which adds seeds until every design is
            decided, and makes the intervals wide enough for all looks.
        max_seeds: largest number of seeds of `auto`.
        margin: smallest difference that matters [points].
        baseline: design that the others are compared with; one that `designs` does not name is trained too. A name in
            `designs` if that is a mapping.
        values: file that keeps what `train` returned; values that are there are not trained again. Use another file
            when the function changes.
        recipe: name of a recipe, or changes to the default of the data set, e.g. `{"epochs": 2}`.
        weights: weights to start from, or `pretrained`, as for the command.
        runs: folder of the runs; `senet compare` with the same folder shares them.
        setup: device and processes; None is the GPU if there is one, otherwise the CPU, one run at a time.
        retry_failed: train runs again that failed before.
        cost: measure what the designs cost where the folder of runs has no measurement; takes about 10 s.
        equal_time: compare the designs with a plain network that is trained longer, for the time that the blocks cost.

    Raises:
        SpecError: if a design, a seed or the margin is not valid, if the baseline is not in the mapping, or if `train`
            returns anything but a number from 0 to 100, or fractions of 1.
        SenetError: if the runs cannot be trained, see `senet.execution.execute.execute`.

    Example:
        >>> def train(design, seed):
        ...     return 90 + seed + (1 + 0.1 * seed if design else 0)
        >>> found = compare(train, ["standard"], seeds=3)
        >>> [(row["id"], row["verdict"]["word"]) for row in found.as_dict()["rows"][1:]]
        [('standard', 'pays off')]
        >>> f"{found.lines[1].difference.low:.2f} to {found.lines[1].difference.high:.2f}"
        '0.85 to 1.35'
    """
    import torch

    devices = range(torch.cuda.device_count())
    if callable(first) and third is None:
        with torch.random.fork_rng(devices):  # the seeds are those of the trainings, not of the caller
            return by_function(first, second, **_known(options, by_function))
    if isinstance(first, str) and third is not None:
        with torch.random.fork_rng(devices):
            return by_runs(first, second, third, **_known(options, by_runs))
    raise SpecError(
        f"compare({shown(first)}, ...) takes a training function and designs, or a network by name, data and designs."
    )


def _known(options: Mapping[str, Any], target: Callable[..., Any]) -> Mapping[str, Any]:
    """Return options that a form of the comparison takes; others are an error."""
    names = {name for name, one in inspect.signature(target).parameters.items() if one.kind is one.KEYWORD_ONLY}
    refuse_unknown("compare", options, names)
    return options
