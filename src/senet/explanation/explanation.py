"""The result of `senet.explain`: the blocks of a network, as a table, as figures and as files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int64
from torch import Tensor

from senet.errors import SpecError, unknown
from senet.explanation.interventions import Effect, Outcome
from senet.explanation.values import BlockExplanation
from senet.printed import Printed
from senet.tables import fitted

if TYPE_CHECKING:
    from senet.explanation.differences import Differences

__all__ = ["Explanation", "Picture"]


@dataclass(frozen=True)
class Picture:
    """An image that opens or shuts a channel most.

    Attributes:
        index: its number, from 0.
        row: row of its class; None without labels.
        name: its name; None if it has none.
        thumbnail: a thumbnail as a data URL; None if it was left out.
    """

    index: int
    row: int | None
    name: str | None
    thumbnail: str | None


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Explanation(Printed):
    """What the gates of a network do on a set of images.

    Attributes:
        title: name of the network.
        parameters: its parameters.
        classes: names of the classes that occur.
        rows: class of each image; empty without labels.
        images: number of images.
        sample: number of images that quantiles, intervals, permutations and regressions rest on.
        outcomes: loss of each image, and whether it is classified correctly; None without labels.
        blocks: the blocks in the order of the network.
        stages: effect of constants in all blocks of each stage at once; empty without that intervention.
        pictures: the images that open or shut a channel most.
        notes: remarks, one sentence each.
        other: the explanation of a second network on the same images; None if there is none.
    """

    title: str
    parameters: int
    classes: tuple[str, ...]
    rows: Int64[Tensor, " n"]
    images: int
    sample: int
    outcomes: Outcome | None
    blocks: tuple[BlockExplanation, ...]
    stages: Mapping[int, Effect]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = ()
    other: "Explanation | None" = None

    def __getitem__(self, name: str) -> BlockExplanation:
        """Return a block by its name.

        Raises:
            SpecError: if there is no such block.
        """
        for block in self.blocks:
            if block.name == name:
                return block
        raise unknown("block", name, [block.name for block in self.blocks], error=SpecError)

    def __iter__(self) -> Iterator[BlockExplanation]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def images_per_class(self) -> tuple[int, ...]:
        """Number of images of each class; empty without labels."""
        return tuple(torch.bincount(self.rows, minlength=len(self.classes)).tolist()) if len(self.rows) else ()

    @property
    def chance(self) -> float:
        """Share of the largest class: the accuracy of a constant prediction [1]; NaN without labels."""
        return max(self.images_per_class) / self.images if self.images_per_class else float("nan")

    @property
    def top1(self) -> float:
        """Top-1 accuracy [%]; NaN without labels."""
        return float("nan") if self.outcomes is None else 100 * float(self.outcomes.right.double().mean())

    @property
    def loss(self) -> float:
        """Mean cross-entropy [nats]; NaN without labels."""
        return float("nan") if self.outcomes is None else float(self.outcomes.loss.mean())

    @property
    def differences(self) -> "Differences":
        """What differs between the second network and this one, with intervals.

        Raises:
            SpecError: if there is no second network.
        """
        from senet.explanation.differences import differences

        if self.other is None:
            raise SpecError("there is no second network; use senet.explain(model, batches, other=model2).")
        return differences(self, self.other)

    def table(self) -> str:
        """Return the table of the blocks, the diagnoses and the remarks as text that fits the terminal."""
        from senet.explanation.report import block_table, facts

        said = [f"{block.name}: {one.text}" for block in self.blocks for one in block.diagnosis]
        said += [f"- {note}" for note in self.notes]
        return "\n".join([*fitted(facts(self)), "", str(block_table(self)), "", *fitted(said)])

    def __str__(self) -> str:
        return self.table()

    def figure(
        self,
        kind: str,
        path: Path | str,
        *,
        classes: Sequence[str] = (),
        channels: int = 50,
    ) -> Path:
        """Draw a figure.

        Args:
            kind: `strip`, `classes` (the paper's figure), `heatmap`, `histogram`, `importance`, `squeeze` or `curve`.
            path: `.png`, `.svg` or `.pdf`.
            classes: names of the classes whose curves are drawn; empty takes the four with the most different gates.
            channels: number of channels, sampled uniformly.

        Returns:
            The path.

        Raises:
            SpecError: if the kind or a class is not known.
            UsageError: if matplotlib is not installed.
        """
        from senet.explanation.figures import FIGURES

        if kind not in FIGURES:
            raise unknown("figure", kind, list(FIGURES), error=SpecError)
        FIGURES[kind](self, Path(path), classes=classes, channels=channels)
        return Path(path)

    def as_dict(self) -> Mapping[str, Any]:
        """Return the explanation as values that JSON can represent, as `explain.json` holds them."""
        from senet.explanation.document import document

        return document(self)

    def save(
        self,
        folder: Path | str,
        *,
        made: Mapping[str, Any] | None = None,
        classes: Sequence[str] = (),
        figures: Sequence[str] | None = None,
    ) -> tuple[Path, ...]:
        """Write `explain.json`, `sums.safetensors`, figures, a report, and the page `explain.html`.

        Args:
            folder: the folder; it is created.
            made: what else `explain.json` says of its origin, by the names `made`, `model`, `data` and `other`.
            classes: names of the classes that the figure `classes` shows.
            figures: names of the figures; None draws all.

        Returns:
            Paths of the files.

        Raises:
            StorageError: if a file cannot be written.
        """
        from senet.explanation.saving import save

        return save(self, Path(folder), made or {}, classes, figures)
