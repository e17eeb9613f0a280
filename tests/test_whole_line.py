"""A network on its way: blocks inserted, trained, folded away, made fast; what each step promises of the outputs."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import senet
from senet.experiments.recipe import Optim, Recipe
from senet.training.learner import Learner

RECIPE = Recipe(batch_size=32, optim=Optim(lr=0.05), augment=None, channels_last=False)


@pytest.mark.usefixtures("unchecked")  # the graph that `optimize` makes is traced with proxies, not tensors
def test_a_network_is_given_blocks_trained_folded_and_optimized(tmp_path: Path) -> None:
    model = senet.create_model("resnet8", num_classes=4).eval()
    x, y = torch.randn(32, 3, 16, 16), torch.arange(32) % 4

    def logits(network: nn.Module) -> Tensor:
        with torch.no_grad():
            return network.eval()(x)

    plain = logits(model)
    done = senet.insert(model, "standard:reduction=4", shape=x.shape)
    assert len(done) == 3
    assert torch.equal(logits(model), plain), "new blocks change nothing"

    blocks = {key: value.clone() for key, value in model.state_dict().items() if ".se." in key}
    learner = Learner(model, RECIPE)
    losses = [learner.step(x, y, lr=0.05, total=32, seed=step).item() for step in range(2)]
    assert losses[1] < losses[0]
    assert any(not torch.equal(model.state_dict()[key], value) for key, value in blocks.items())
    senet.decelerate(model)
    trained = logits(model)
    assert not torch.equal(trained, plain)
    folder = senet.save_pretrained(model, tmp_path / "trained", name="resnet8")
    assert torch.equal(logits(senet.from_pretrained(folder)), trained), "a folder keeps every bit"

    gated = deepcopy(model)
    report = senet.fold(model, [(x, y)], tolerance=None)
    assert report.removed == done.names
    assert senet.find(model) == ()
    folded = logits(model)
    apart = trained - trained.mean(1, keepdim=True), folded - folded.mean(1, keepdim=True)
    error = (apart[1] - apart[0]).norm() / apart[0].norm()
    torch.testing.assert_close(error.item(), report.steps[-1].error, rtol=1e-3, atol=1e-6)
    assert report.steps[-1].changed == (trained.argmax(1) != folded.argmax(1)).sum()
    back = senet.from_pretrained(senet.save_pretrained(model, tmp_path / "folded", name="resnet8"))
    assert torch.equal(logits(back), folded)

    for network, wanted in ((gated, trained), (back, folded)):
        fast = senet.optimize(network, shape=x.shape)
        assert len(fast.report.norms) == 7
        torch.testing.assert_close(logits(fast), wanted, rtol=1e-4, atol=1e-5)
