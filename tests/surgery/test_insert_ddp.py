"""Inserted blocks in a network that several processes train: converted norms first, then blocks, then DDP."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from forks import start_ranks
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch_state import forward_hooks

from senet import SESpec, insert, remove
from senet.training.process_group import joined

IMAGES, STEPS = 12, 3


class Unit(nn.Module):
    """A residual unit as users write it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class Host(nn.Module):
    """A user's network, in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.units = nn.Sequential(Unit(8), Unit(8))
        self.fc = nn.Linear(8, 5)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.units(self.stem(x)).mean((2, 3)))
        return logits


class OnCpu(nn.BatchNorm2d):
    """What `SyncBatchNorm` computes, in plain operations: DDP refuses the original where there is no GPU."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        sums = torch.cat([x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), x.new_tensor([x.numel() / x.shape[1]])])
        total, squares, count = all_reduce(sums).split([x.shape[1], x.shape[1], 1])
        mean = total / count
        var = squares / count - mean.square()
        with torch.no_grad():
            self.running_mean.lerp_(mean, 0.1)
            self.running_var.lerp_(var * count / (count - 1), 0.1)
            self.num_batches_tracked.add_(1)
        y = (x - mean[:, None, None]) * (var + self.eps).rsqrt()[:, None, None]
        return y * self.weight[:, None, None] + self.bias[:, None, None]


def host_with_blocks(*, shared: bool) -> nn.Module:
    """Build the network: the norms are converted before the blocks come."""
    host: nn.Module = Host()
    if shared:
        host = nn.SyncBatchNorm.convert_sync_batchnorm(host)
        for module in host.modules():
            if isinstance(module, nn.SyncBatchNorm):
                module.__class__ = OnCpu
    torch.manual_seed(1)  # of the blocks
    done = insert(host, SESpec(reduction=2), shape=(1, 3, 8, 8))
    assert list(done.names) == ["units.0.bn2.se", "units.1.bn2.se"]
    return host


def train(net: nn.Module, place: Path, *, part: slice = slice(None)) -> None:
    """Take some steps and keep the gradients of each and the last state."""
    model = net.module if isinstance(net, DistributedDataParallel) else net
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    chance = torch.Generator().manual_seed(2)
    kept: dict[str, Tensor] = {}
    for step in range(STEPS):
        x = torch.randn(IMAGES, 3, 8, 8, dtype=torch.float64, generator=chance)
        y = torch.randint(5, (IMAGES,), generator=chance)
        optimizer.zero_grad()
        cross_entropy(net(x[part]), y[part]).backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None, name
            kept[f"gradient {step} {name}"] = weight.grad.clone()
        optimizer.step()
    save_file(kept | {name: value.clone() for name, value in model.state_dict().items()}, place)


def train_in_group(place: Path) -> None:
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as group:
        half = IMAGES // group.size
        net = DistributedDataParallel(host_with_blocks(shared=True))
        train(net, place / f"rank{group.rank}", part=slice(half * group.rank, half * (group.rank + 1)))
        dist.barrier()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.distributed.nn.*:FutureWarning")
def test_two_processes_with_inserted_blocks_are_one_with_the_whole_batch(tmp_path: Path) -> None:
    children = start_ranks(tmp_path / "said", train_in_group, tmp_path)
    train(host_with_blocks(shared=False), tmp_path / "alone")
    for child in children:
        assert child.join() == 0, child.said
    alone, first, second = (load_file(tmp_path / name) for name in ("alone", "rank0", "rank1"))
    assert alone.keys() == first.keys() == second.keys()
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        scale = max(value.abs().max().item(), 1e-6)
        assert ((first[name] - value).abs().max() / scale).item() <= 1e-9, name
    gates = [name for name in alone if name.startswith(f"gradient {STEPS - 1}") and ".se." in name]
    assert len(gates) == 2 * 4
    assert all(alone[name].any() for name in gates)  # the blocks learn


def test_blocks_in_converted_norms_run_and_go_away() -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    plain = nn.SyncBatchNorm.convert_sync_batchnorm(Host()).eval()
    before, names = plain(x), list(plain.state_dict())
    done = insert(plain, SESpec(reduction=2), shape=(1, 3, 8, 8))
    assert torch.equal(plain(x), before)
    with torch.no_grad():
        for name in done.names:
            nn.init.ones_(plain.get_submodule(f"{name}.fc2").bias)
    assert not torch.equal(plain(x), before)
    remove(plain)
    assert torch.equal(plain(x), before)
    assert list(plain.state_dict()) == names
    assert not any(forward_hooks(module) for module in plain.modules())
