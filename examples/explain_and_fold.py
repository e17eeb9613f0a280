# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What the blocks of a network do, and which may go
#
# `python explain_and_fold.py FOLDER`, or without a folder on scikit-learn's digits. A small network with blocks is
# trained; put yours in its place. Then: what its gates do, which of them are constants, and the network without those.

# %%
import torch
from image_folder import image_folder
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import senet

FOLDER = image_folder()
SIZE, BATCH, EPOCHS = 16, 50, 3

# %%
steps = [v2.ToImage(), v2.Resize(SIZE), v2.CenterCrop(SIZE), v2.ToDtype(torch.float32, scale=True)]
look = v2.Compose([*steps, v2.Normalize([0.3] * 3, [0.37] * 3)])
train_images, test_images = (ImageFolder(FOLDER / part, look) for part in ("train", "val"))
train, test = list(DataLoader(train_images, BATCH)), list(DataLoader(test_images, BATCH))

# %%
torch.manual_seed(0)
model = senet.create_model("resnet8", se="standard:reduction=4", num_classes=len(test_images.classes))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
model.train()
for _ in range(EPOCHS):
    for images, labels in DataLoader(train_images, BATCH, shuffle=True):
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()

# %% [markdown]
# A line for each block: how much of the gates the class explains, how far they are from constants and from 1, and what
# happens to the loss without them. Below, a diagnosis in words.

# %%
explanation = senet.explain(model, test, classes=test_images.classes)
print(explanation)

# %% [markdown]
# The figure of the SENet paper: gates by class, over channels. Lines on top of each other mean that a block does not
# tell these classes apart. `explanation.save(FOLDER)` writes all figures and a page for the browser.

# %%
explanation.figure("classes", "gates.png")
print("gates.png")

# %% [markdown]
# Blocks whose gates hardly depend on the image become constants of the layer beside them, as long as the accuracy lost
# is surely below the tolerance: the upper end of its 95 % interval counts. Order and constants come from the training
# images, the steps are measured on others.

# %%
folded = senet.fold(model, train, test=test, tolerance=2)
print(folded)
print(len(senet.find(model)), "blocks are left;", senet.cost(model, shape=(1, 3, SIZE, SIZE)).params, "parameters")

# %%
torch.save(model.state_dict(), "folded.pt")
