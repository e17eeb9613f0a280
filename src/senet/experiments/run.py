"""A run: all values that determine the result of one training, and their hash. No torch here."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from senet.bounds import check_fields
from senet.calls import by_name
from senet.errors import SpecError
from senet.experiments.data_spec import PIXELS, DataSpec
from senet.experiments.recipe import Recipe
from senet.spec import SESpec, design_name

__all__ = ["BUILT", "SCHEMA", "Run"]

BUILT = "built"
"""`Run.weights` for those that the function of `Run.model` loads."""

SCHEMA = 1
"""Version of what a run means. A change of a default that changes outcomes is a new version: ids then differ."""


@by_name
@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: network, blocks, data, recipe, seed. Equal runs have equal ids and share results.

    Attributes:
        model: what `senet.networks.create` takes: a name of `list_models()`, `timm:NAME`, `torchvision:NAME`, a builder
            as `FILE.py:FUNCTION` or `package.module:FUNCTION`, or a folder of a network.
        se: designs of blocks; none is the plain network.
        data: the data set.
        recipe: the training.
        seed: seed of the weights, the order of the images, the augmentation and dropout.
        weights: where the network starts: a file, a folder, `hf:owner/name`, or the weights that a library has for it,
            `timm:NAME.TAG`, `torchvision:NAME.TAG`; empty is fresh weights. `built`, filled in by a command, stands for
            those that the function of `model` loads.
        at: patterns of the units or modules that get blocks, as for `senet.insert`; empty is all units. Not for
            networks of the zoo.
        model_hash: hash of the source of a builder, or of the files of a folder; empty for names of libraries. It and
            the next are filled in where a command makes the run (`senet.networks.stated`).
        weights_hash: hash of the content of `weights`. Where it is known it stands for `weights` in the id, so that
            the file may move; empty for weights of a library, whose name is their identity.
    """

    model: str = "resnet20"
    se: tuple[SESpec, ...] = ()
    data: DataSpec = field(default_factory=DataSpec)
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    weights: str = ""
    at: tuple[str, ...] = ()
    model_hash: str = ""
    weights_hash: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "")

    @property
    def id(self) -> str:
        """Hash of the values that differ from the defaults, 12 hexadecimal digits.

        A field that is added later with the old meaning as its default leaves the ids of old runs as they are. Runs
        whose images are resized carry the version of how that is done.
        """
        values = self.identity()
        values["se"] = [_sparse(spec, asdict(SESpec())) for spec in values["se"]]
        said = _sparse(values, asdict(Run()))
        if self.data.name == "folder" or self.data.size or self.recipe.augment.resized_crop:
            said["pixels"] = PIXELS
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    def identity(self) -> dict[str, Any]:
        """Return the values that make a run what it is: all but the place of weights whose content is known."""
        values = self.as_dict()
        if self.weights_hash:
            values["weights"] = ""
        return values

    @property
    def stored_weights(self) -> str:
        """The weights that are read, from a file or a library; empty for fresh ones and those that a function loads."""
        return "" if self.weights == BUILT else self.weights

    @property
    def design(self) -> str:
        """The blocks in words: `plain`, `slow_both r=16`, `standard r=8 + standard r=8 slot=pre`."""
        return design_name(self.se)

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them, with the version of their meaning.

        Raises:
            SpecError: if a design holds a function instead of a name, which JSON cannot hold.
        """
        values = asdict(self)
        for number, spec in enumerate(self.se):
            if name := spec.own_function:
                raise SpecError(f"se[{number}].{name} is a function; a run needs names, so that it can be repeated.")
        return {"schema": SCHEMA, **values}


def _like(value: Any, default: Any) -> Any:
    # 1 and 1.0 are equal, and JSON writes them differently: where the default is a float, so is the value
    if isinstance(default, float):
        return float(value)
    if isinstance(value, tuple) and isinstance(default, tuple) and len(value) == len(default):
        return tuple(map(_like, value, default))
    return value


def _sparse(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    sparse: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults.get(name)
        value = _like(value, default)
        if isinstance(value, dict) and isinstance(default, dict):
            value = _sparse(value, default)
            default = {}
        if name not in defaults or value != default:
            sparse[name] = value
    return sparse
