"""Testing a network: exact counts over every image, once each, however many processes share the work."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senet.data.dataset import Split
from senet.experiments.confusion import ConfusionCounts, Matrix
from senet.experiments.image_bits import pack
from senet.nn.evaluated import evaluated
from senet.training.process_group import Group

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Evaluation(ConfusionCounts):
    """Counts over a test set.

    Attributes:
        loss: mean cross-entropy [nats].
        confusion: images by label (row) and answer (column).
        correct5: images whose label is among the five highest logits (all of them with fewer than five classes).
        right: which images are classified correctly, in the order of the data, see `senet.experiments.image_bits.pack`.
    """

    loss: float
    confusion: Matrix
    correct5: int
    right: str


@torch.no_grad()
def evaluate(
    model: nn.Module,
    split: Split,
    *,
    num_classes: int,
    device: torch.device | str = "cpu",
    batch_size: int = 500,
    workers: int = 0,
    group: Group | None = None,
    between: Callable[[], None] | None = None,
) -> Evaluation:
    """Test a network in float32, without augmentation.

    Args:
        model: returns logits `(n, num_classes)`.
        split: the test images.
        num_classes: rows and columns of the confusion matrix.
        device: where the model is.
        batch_size: images at once; does not change the counts.
        workers: processes that decode files.
        group: processes that share the images; each image is counted once, without padding.
        between: is called before each batch, equally often in all processes; may raise to give up.
    """
    group = group or Group()
    device = torch.device(device)
    rounds = [part[group.rank :: group.size] for part in torch.split(torch.arange(len(split)), batch_size * group.size)]
    plan = [(mine, 0) for mine in rounds if len(mine)]
    confusion = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=device)
    correct5 = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    right = torch.zeros(len(split), dtype=torch.uint8, device=device)
    hits: list[Tensor] = []
    with evaluated(model):
        for x, y in split.batches(plan, augment=None, device=device, workers=workers):
            if between is not None:
                between()
            logits: Tensor = model(x).float()
            loss += F.cross_entropy(logits, y, reduction="sum").double()
            answers = logits.argmax(1)
            hits.append(answers == y)
            confusion += torch.bincount(y * num_classes + answers, minlength=num_classes**2)
            highest = logits.topk(min(5, num_classes), dim=1).indices
            correct5 += (highest == y[:, None]).any(1).sum()
        if between is not None and len(plan) < len(rounds):  # the last round had nothing for this process
            between()
    if plan:
        right[torch.cat([mine for mine, _ in plan]).to(device)] = torch.cat(hits).to(torch.uint8)
    for counts in (confusion, correct5, loss, right):
        group.total(counts)
    rows = confusion.view(num_classes, num_classes).tolist()
    return Evaluation(
        loss=loss.item() / max(1, len(split)),
        confusion=tuple(map(tuple, rows)),
        correct5=int(correct5.item()),
        right=pack(right.cpu().numpy()),
    )
