"""Counts over a test set, against scikit-learn and by hand."""

from dataclasses import dataclass, replace

import pytest
import torch
from forks import DATA, RUN
from torch import Tensor, nn

from senet.experiments.image_bits import unpack
from senet.nn.evaluated import evaluated
from senet.training.evaluation import Evaluation, evaluate
from senet.training.initial_network import build


class Fixed(nn.Module):
    """Gives the logits that were prepared for each image, whose number is its only pixel."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        return self.logits[x.flatten().long()]


@dataclass
class Numbered:
    """Images with their number as the only pixel."""

    labels: Tensor
    shape: tuple[int, int, int] = (1, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: object) -> "Numbered":
        return self

    def batches(self, plan, *, augment, device, workers=0):  # type: ignore[no-untyped-def]
        assert augment is None
        for indices, _ in plan:
            yield indices.float().view(-1, 1, 1, 1), self.labels[indices]


@pytest.mark.parametrize("batch_size", [1, 7, 40, 500])
@pytest.mark.parametrize("classes", [3, 10])
def test_counts_and_loss_are_those_of_scikit_learn(classes: int, batch_size: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    torch.manual_seed(classes)
    labels, logits = torch.randint(classes, (97,)), torch.randn(97, classes) * 2
    found = evaluate(Fixed(logits), Numbered(labels), num_classes=classes, batch_size=batch_size)
    answers = logits.argmax(1)
    every = list(range(classes))
    assert found.confusion == tuple(map(tuple, metrics.confusion_matrix(labels, answers, labels=every).tolist()))
    assert found.correct == metrics.accuracy_score(labels, answers, normalize=False)
    assert found.accuracy == pytest.approx(100 * metrics.accuracy_score(labels, answers))
    assert unpack(found.right, 97).tolist() == (labels == answers).int().tolist(), "in the order of the data"
    assert found.loss == pytest.approx(
        metrics.log_loss(labels, logits.double().softmax(1).numpy(), labels=every), rel=1e-5
    )
    if classes > 5:
        top5 = metrics.top_k_accuracy_score(labels, logits.numpy(), k=5, normalize=False, labels=every)
        assert found.correct5 == top5
    else:
        assert found.correct5 == 97
    assert found.total == 97


def test_counts_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
    found = evaluate(Fixed(logits), Numbered(torch.tensor([0, 1, 1])), num_classes=2)
    assert found.confusion == ((1, 0), (1, 1))
    assert (found.correct, found.total, found.correct5) == (2, 3, 3)
    lost = [(-row.log_softmax(0)[label]).item() for row, label in zip(logits, (0, 1, 1), strict=True)]
    assert found.loss == pytest.approx(sum(lost) / 3)


def test_every_module_gets_its_own_mode_back() -> None:
    net = build(RUN, DATA).train()
    frozen = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    frozen.eval()
    before = [module.training for module in net.modules()]
    statistics = {name: value.clone() for name, value in net.state_dict().items()}
    first = evaluate(net, DATA.test, num_classes=10)
    assert [module.training for module in net.modules()] == before
    assert all(torch.equal(value, statistics[name]) for name, value in net.state_dict().items())
    with evaluated(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.modules()] == before
    with pytest.raises(KeyError), evaluated(net):
        raise KeyError
    assert [module.training for module in net.modules()] == before
    assert evaluate(net.eval(), DATA.test, num_classes=10) == first


def test_who_is_asked_between_batches_may_give_up() -> None:
    calls: list[int] = []

    def between() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError

    net = build(RUN, DATA)
    with pytest.raises(InterruptedError):
        evaluate(net, DATA.test, num_classes=10, batch_size=10, between=between)
    assert len(calls) == 3
    assert net.training


def test_logits_that_are_no_numbers_give_a_loss_that_is_none() -> None:
    found = evaluate(Fixed(torch.full((4, 3), float("nan"))), Numbered(torch.tensor([0, 1, 2, 0])), num_classes=3)
    assert found.loss != found.loss
    assert found.total == 4


def test_the_network_runs_in_float32_whatever_surrounds_it() -> None:
    net = build(replace(RUN, seed=1), DATA)
    found: Evaluation = evaluate(net, DATA.test, num_classes=10)
    assert found.total == len(DATA.test)
    assert all(p.dtype == torch.float32 and p.grad is None for p in net.parameters())
