"""Synchronised norms: two processes with half a batch each are one process with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, torch, torch.distributed as dist
from torch import nn
from senet import SESpec, accelerate, create_model

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.manual_seed(0)
torch.set_num_threads(1)
whole = create_model("resnet8", se=[SESpec(reduction=4), SESpec(slot="inner", stages=(2,), reduction=4)]).double()
split = nn.SyncBatchNorm.convert_sync_batchnorm(create_model("resnet8", se=[SESpec(reduction=4),
    SESpec(slot="inner", stages=(2,), reduction=4)])).double()
split.load_state_dict(whole.state_dict())
assert not accelerate(split, backend="reference").left
x = torch.randn(8, 3, 12, 12, dtype=torch.float64)
mine = x[:5] if rank == 0 else x[5:]  # batches of different size

dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
own = split(mine)  # without DDP, which refuses these norms on CPUs
own.pow(2).sum().backward()
for parameter in split.parameters():
    dist.all_reduce(parameter.grad)
y = whole(x)
y.pow(2).sum().backward()
torch.testing.assert_close(own, y[:5] if rank == 0 else y[5:])
for (name, one), other in zip(split.named_parameters(), whole.parameters()):
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-8, atol=1e-10, msg=name)
for (name, one), other in zip(split.named_buffers(), whole.buffers()):
    torch.testing.assert_close(one, other, msg=name)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_with_synchronised_norms_are_one_with_the_whole_batch(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    ranks = [
        subprocess.Popen([*words, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True, env=os.environ)
        for rank in range(2)
    ]
    for rank in ranks:
        _, said = rank.communicate(timeout=200)
        assert rank.returncode == 0, said
