# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Blocks in a network of timm, fine-tuned
#
# `python insert_and_fine_tune.py FOLDER`, or without a folder on scikit-learn's digits, which takes a minute of one CPU
# core. The plain network is fine-tuned for as many steps, from the same weights and in the same order of images: what
# blocks bring is the difference between the two, and it has an interval.

# %%
import copy
from collections.abc import Callable

import timm
import torch
from image_folder import image_folder
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import senet

FOLDER = image_folder(side=32)
MODEL, PRETRAINED = "resnet10t", False  # PRETRAINED downloads the weights; then set SIZE to what they were trained on
DESIGN, SIZE, BATCH, EPOCHS, SEEDS = "standard:reduction=8", 32, 50, 1, 3

# %% [markdown]
# Images as torchvision reads them, normalised as timm says for this network.

# %%
config = timm.data.resolve_data_config({}, model=timm.create_model(MODEL))
steps = [v2.ToImage(), v2.Resize(SIZE), v2.CenterCrop(SIZE), v2.ToDtype(torch.float32, scale=True)]
look = v2.Compose([*steps, v2.Normalize(config["mean"], config["std"])])
train_images, test_images = (ImageFolder(FOLDER / part, look) for part in ("train", "val"))
test = list(DataLoader(test_images, BATCH))
print(len(train_images), "images to train on,", len(test_images), "to test on,", len(test_images.classes), "classes")


# %%
def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, seed: int, epochs: int) -> None:
    """Train on the images, in an order that the seed alone decides."""
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        model.train()
        for images, labels in DataLoader(train_images, BATCH, shuffle=True, generator=order):
            optimizer.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Return the share of the test images that are right, in percent."""
    model.eval()
    right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test)
    return 100 * right / len(test_images)


# %% [markdown]
# The network that you have. Without weights to start from, it is trained first.

# %%
torch.manual_seed(0)
trained = timm.create_model(MODEL, pretrained=PRETRAINED, num_classes=len(test_images.classes))
if not PRETRAINED:
    train(trained, torch.optim.AdamW(trained.parameters(), lr=2e-3), seed=100, epochs=1)
print(f"before: {accuracy(trained):.1f} %")

# %% [markdown]
# Where blocks go, and what they add. The outputs do not change, so that fine-tuning starts from where the network is.

# %%
gated = copy.deepcopy(trained).eval()
images = test[0][0]
with torch.no_grad():
    before = gated(images)
    print(senet.insert(gated, DESIGN, shape=(1, 3, SIZE, SIZE)))
    assert torch.equal(gated(images), before)


# %% [markdown]
# Fine-tune plain and with blocks: new weights get ten times the rate of the others, which are near their goal.


# %%
def fine_tuned(build: Callable[[], nn.Module], seed: int) -> float:
    """Return the accuracy of a network after fine-tuning, in percent."""
    torch.manual_seed(seed)
    model = build()
    new = [weight for name, weight in model.named_parameters() if ".se." in name]
    old = [weight for name, weight in model.named_parameters() if ".se." not in name]
    rates = [{"params": old, "lr": 5e-4}, {"params": new, "lr": 5e-3}]
    train(model, torch.optim.AdamW([group for group in rates if group["params"]]), seed=seed, epochs=EPOCHS)
    return accuracy(model)


def plain() -> nn.Module:
    """Return the network that you have."""
    return copy.deepcopy(trained)


def with_blocks() -> nn.Module:
    """Return it with blocks."""
    model = plain()
    senet.insert(model, DESIGN, shape=(1, 3, SIZE, SIZE))
    return model


found = senet.compare(fine_tuned, {"plain": plain, "with blocks": with_blocks}, seeds=SEEDS, margin=1)
print(found)

# %% [markdown]
# Three seeds of one epoch settle nothing; set `EPOCHS` and `SEEDS` to what you can afford. The interval is over seeds.

# %%
found.figure("fine_tuning.png")
print("fine_tuning.png")
