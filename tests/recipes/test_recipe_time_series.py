"""docs/recipes/time_series.md runs as it is written, and its network learns."""

from pathlib import Path

import pytest
import torch
from torch import nn

import senet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_a_time_series_network_runs(page) -> None:  # type: ignore[no-untyped-def]
    given = nn.Sequential(nn.Conv1d(1, 16, 3), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 8, 3), nn.ReLU())
    names = page("docs/recipes/time_series.md", names={"model": given})
    model, test, folded = names["model"], names["test"], names["folded"]
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in test)
    assert right > 240, "of 400 digits"
    assert Path("explained/explain.html").stat().st_size > 10_000
    assert len(senet.find(model)) == 3 - len(folded.removed)
    assert names["report"].error < 1e-5
    assert Path("series.onnx").exists()
    assert names["found"].lines[1].difference.low < names["found"].lines[1].difference.high
    assert Path("comparison.png").exists()


def test_an_inception_time_has_a_block_at_every_shortcut_or_at_every_module() -> None:
    class Module(nn.Module):
        def __init__(self, inputs: int) -> None:
            super().__init__()
            self.bottleneck, self.last = nn.Conv1d(inputs, 8, 1), nn.Conv1d(inputs, 8, 1)
            self.convs = nn.ModuleList(nn.Conv1d(8, 8, k, padding=k // 2) for k in (39, 19, 9))
            self.pool, self.norm = nn.MaxPool1d(3, 1, 1), nn.BatchNorm1d(32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.bottleneck(x)
            return self.norm(torch.cat([*(conv(y) for conv in self.convs), self.last(self.pool(x))], 1)).relu()

    class InceptionTime(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.units = nn.ModuleList(Module(32 if i else 3) for i in range(6))
            self.shortcuts = nn.ModuleList(nn.Conv1d(width, 32, 1) for width in (3, 32))
            self.head = nn.Linear(32, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for i, unit in enumerate(self.units):
                if i % 3 == 0:
                    kept = self.shortcuts[i // 3](x)
                x = unit(x)
                if i % 3 == 2:
                    x = (x + kept).relu()
            return self.head(x.mean(2))

    model = InceptionTime()
    assert senet.plan(model, "standard:reduction=8", shape=(1, 3, 64)).names == ("units.2.se", "units.5.se")
    every = senet.plan(model, "standard:reduction=8", at="units.*", shape=(1, 3, 64))
    assert every.names == tuple(f"units.{i}.se" for i in range(6))
