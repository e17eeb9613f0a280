# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Does channel attention pay off on your images?
#
# `python compare_on_your_folder.py FOLDER` with a folder `train/CLASS/*.jpg`, `val/CLASS/*.jpg`; without one, on
# scikit-learn's handwritten digits. It takes about two minutes of one CPU core on the digits.
#
# Every design is trained with the same seeds as the plain network, and the difference has a paired 95 % interval. Few
# seeds and epochs settle nothing: the verdict then says *undecided*, and how many seeds would tell.

# %%
from image_folder import image_folder

import senet

FOLDER = image_folder(side=8)
MODEL = "resnet8"  # for photographs `timm:resnet18`, with weights="pretrained" below
DESIGNS = ["standard:reduction=4", "eca"]  # squeeze-and-excitation, and efficient channel attention
SEEDS, EPOCHS = 3, 12

# %% [markdown]
# The runs are kept in `runs/`. A second start reads them, and so does `senet compare` on the command line.

# %%
found = senet.compare(MODEL, FOLDER, DESIGNS, seeds=SEEDS, recipe={"epochs": EPOCHS}, margin=1)

# %% [markdown]
# Accuracy by design, the difference to plain with its interval, the verdict, and what the blocks cost here:

# %%
print(found)

# %% [markdown]
# The same as numbers, for a program:

# %%
for row in found.as_dict()["rows"][1:]:
    difference = row["difference"]
    print(f"{row['id']}: {difference['mean']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}] points")

# %% [markdown]
# Curves, paired differences, and the cost:

# %%
found.figure("comparison.png")
print("comparison.png")
