"""Inserted blocks under what people do with networks: optimizers, DDP, compilation, export, other libraries."""

import copy
import warnings

import pytest
import torch
import torch.distributed as dist
from hosts import ChannelsLast, host, resnet
from torch import nn

import senet
from senet.errors import SpecError
from senet.spec import SESpec

SHAPE = (1, 3, 16, 16)
DESIGN = SESpec(reduction=4)


def picture(shape=(2, 3, 16, 16)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def gated(model=None):
    model = resnet() if model is None else model
    senet.insert(model, DESIGN, shape=SHAPE)
    for name, parameter in model.named_parameters():
        if ".se." in name:
            nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("model", [resnet, pytest.param(lambda: host(ChannelsLast(8)), marks=pytest.mark.slow)])
@pytest.mark.usefixtures("unchecked")  # a type checker is no code that compiles
def test_compilation_sees_the_blocks_in_one_graph(model):
    model = gated(model())
    seen = []

    def keep(graph, inputs):
        seen.append(graph)
        return graph.forward

    compiled = torch.compile(model, fullgraph=True, backend=keep)
    assert torch.equal(compiled(picture()), model(picture()))
    assert len(seen) == 1
    assert "sigmoid" in seen[0].code


@pytest.mark.parametrize("model", [resnet, lambda: host(ChannelsLast(8))])
def test_the_exported_program_holds_the_blocks(model):
    model = gated(model())
    program = torch.export.export(model, (picture(),))
    torch.testing.assert_close(program.module()(picture()), model(picture()))
    assert "sigmoid" in program.graph_module.code


def test_ddp_trains_the_blocks(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = gated().train()
        wrapped = nn.parallel.DistributedDataParallel(model)
        wrapped(picture()).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
        with pytest.raises(SpecError, match=r"DistributedDataParallel; work on model.module"):
            senet.insert(wrapped, shape=SHAPE)
        with pytest.raises(SpecError, match=r"OptimizedModule; work on model._orig_mod"):
            senet.insert(torch.compile(model), shape=SHAPE)
    finally:
        dist.destroy_process_group()


def test_an_optimizer_takes_the_new_weights_into_the_groups_of_their_neighbours():
    model = resnet()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD([{"params": decayed, "weight_decay": 0.1}, {"params": plain}], lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    model(picture()).sum().backward()
    optimizer.step()
    done = senet.insert(model, DESIGN, shape=SHAPE, optimizer=optimizer)
    block = model.get_submodule(done.names[0])
    held = [set(group["params"]) for group in optimizer.param_groups]
    assert {block.fc1.weight, block.fc2.weight} <= held[0]
    assert {block.fc1.bias, block.fc2.bias} <= held[1]
    assert set(model.parameters()) == held[0] | held[1]
    before = copy.deepcopy(block.state_dict())
    for _ in range(2):
        optimizer.zero_grad()
        model(picture()).sum().backward()
        optimizer.step()
        schedule.step()
    assert not torch.equal(block.fc2.bias, before["fc2.bias"])
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    senet.remove(model, optimizer=optimizer)
    assert [set(group["params"]) for group in optimizer.param_groups] == [set(decayed), set(plain)]
    assert set(optimizer.state) == {*decayed, *plain}


def test_groups_by_depth_stay_groups_by_depth():
    model = resnet()
    groups = [{"params": list(child.parameters()), "lr": 0.1 * number} for number, child in enumerate(model, 1)]
    optimizer = torch.optim.AdamW(groups)
    for name in senet.insert(model, DESIGN, shape=SHAPE, optimizer=optimizer).names:
        unit = int(name[len("unit")])
        assert set(model.get_submodule(name).parameters()) <= set(optimizer.param_groups[unit]["params"])


def test_an_optimizer_with_names_gets_the_new_names():
    model = resnet()
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
    senet.insert(model, DESIGN, shape=SHAPE, optimizer=optimizer)
    (group,) = optimizer.param_groups
    assert dict(zip(group["param_names"], group["params"], strict=True)) == dict(model.named_parameters())


def test_an_optimizer_that_knows_nothing_of_the_network_is_refused_before_anything_changes():
    model = resnet()
    other = [{"params": [nn.Parameter(torch.zeros(2))]} for _ in range(2)]
    with pytest.raises(SpecError, match=r"optimizer holds no weight before unit1.bn2.se"):
        senet.insert(model, DESIGN, shape=SHAPE, optimizer=torch.optim.SGD(other, lr=0.1))
    assert not senet.find(model)


def test_autocast_and_training_mode_work_on_inserted_blocks():
    model = gated().train()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(picture())
    out.float().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "blocks", "first"),
    [
        ("resnet10t", 4, "layer1.0.bn2.se"),
        ("convnext_atto", 12, "stages.0.blocks.0.mlp.fc2.se"),
        pytest.param("mobilenetv2_035", 16, "blocks.1.0.bn3.se", marks=pytest.mark.slow),
        pytest.param("repvgg_a0", 22, "stem.act.se", marks=pytest.mark.slow),
        ("seresnet18", 0, None),
    ],
)
def test_timm_networks(name, blocks, first):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        done = senet.plan(timm.create_model(name), DESIGN)
    assert len(done) == blocks
    assert first is None or done.names[0] == first


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "blocks", "first"),
    [
        pytest.param("resnet18", 8, "layer1.0.bn2.se", marks=pytest.mark.slow),
        pytest.param("googlenet", 9, "inception3a.se", marks=pytest.mark.slow),
        pytest.param("densenet121", 58, "features.denseblock1.denselayer1.conv2.se", marks=pytest.mark.slow),
        ("mobilenet_v2", 16, None),
        pytest.param("shufflenet_v2_x0_5", 16, None, marks=pytest.mark.slow),
        ("squeezenet1_1", 8, "features.3.se"),
    ],
)
def test_torchvision_networks(name, blocks, first):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = senet.plan(models.get_model(name, weights=None), DESIGN, shape=(1, 3, 96, 96))
    assert len(done) == blocks
    assert first is None or done.names[0] == first


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "mixer_s32_224",
        pytest.param("vit_tiny_patch16_224", marks=pytest.mark.slow),
        pytest.param("swin_tiny_patch4_window7_224", marks=pytest.mark.slow),
    ],
)
def test_transformers_of_timm_are_refused(name):
    timm = pytest.importorskip("timm")
    with torch.device("meta"), pytest.raises(SpecError, match="is a transformer or a mixer"):
        senet.plan(timm.create_model(name))
