"""The options of `fold`, `explain` and `export` that name a network, its weights and its images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from senet.cli.options import Builder, ClassMap, DataChoice, DataDir, Normalization, Origin, Weights, ZooDesign
from senet.execution.asked_run import refuse_zoo_options, run_of_network

if TYPE_CHECKING:
    from senet.experiments.setup import Setup
    from senet.known_names import Origins
    from senet.training.opened_network import Opened, OpenedNetwork

__all__ = ["GivenNetwork"]


@dataclass(frozen=True, kw_only=True)
class GivenNetwork:
    """Options of a command that works on a network with its weights and images (`senet.cli.option_groups`)."""

    weights: Weights = None
    se: ZooDesign = None
    origin: Origin = "senet"
    builder: Builder = None
    data: DataChoice = None
    data_dir: DataDir = None
    normalize: Normalization = "auto"
    class_map: ClassMap = None

    def opener(self, model: str, words: list[str] | None, setup: "Setup") -> Callable[..., "OpenedNetwork"]:
        """Check what was typed, and return the function that opens the network and its images.

        Args:
            model: name or folder of the network.
            words: settings of the data as NAME=VALUE.
            setup: device and paths.

        Returns:
            `senet.training.opened_network.open_network` with all arguments but those of a command's own.
        """
        from senet.training.opened_network import open_network

        refuse_zoo_options(model, se=self.se, origin=self.origin)
        run, said = run_of_network(
            model, words, data=self.data, data_dir=self.data_dir, se=self.se or "standard", weights=self.weights
        )
        return partial(
            open_network, model, run, setup,
            weights=self.weights, origin=cast("Origins", self.origin), normalize=self.normalize,
            class_map=self.class_map, builder=self.builder, said=said,
        )  # fmt: skip

    def open_without_images(self, model: str) -> "Opened":
        """Build the network and load its weights."""
        from senet.training.opened_network import open_without_images

        refuse_zoo_options(model, se=self.se, origin=self.origin)
        return open_without_images(
            model,
            se=self.se or "standard",
            weights=self.weights,
            origin=cast("Origins", self.origin),
            builder=self.builder,
        )
