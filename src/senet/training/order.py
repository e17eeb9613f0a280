"""Plan the steps of an epoch: the images of every batch. A resumed training skips the first steps of the plan."""

import torch
from torch import Tensor

from senet.errors import UsageError
from senet.experiments.recipe import Recipe
from senet.experiments.seeds import mix
from senet.training.process_group import Group

__all__ = ["epoch_plan"]


def epoch_plan(
    images: int, recipe: Recipe, *, seed: int, epoch: int, group: Group | None = None
) -> list[tuple[Tensor, int]]:
    """Return the image indices and the augmentation seed of every step of an epoch.

    Args:
        images: number of images in the training set.
        recipe: batch size and order.
        seed: of the run.
        epoch: from 0.
        group: the processes that share each batch.

    Returns:
        Indices of this process and seed of each step; a last batch that would leave a part with fewer than two
        images, which norms need, is dropped.

    Raises:
        UsageError: if there is not one batch, or not one image for each part of it.
    """
    group = group or Group()
    parts = group.size * recipe.accumulate
    if recipe.batch_size < parts:
        raise UsageError(
            f"recipe.batch_size = {recipe.batch_size} leaves parts of {group.size} processes with "
            f"recipe.accumulate = {recipe.accumulate} empty; raise it to {2 * parts} or more."
        )
    if recipe.shuffle:
        order = torch.randperm(images, generator=torch.Generator().manual_seed(mix(seed, "order", epoch)))
    else:
        order = torch.arange(images)
    batches = list(torch.split(order, recipe.batch_size))
    smallest = recipe.batch_size if recipe.drop_last else min(recipe.batch_size, 2 * parts)
    if len(batches[-1]) < smallest:
        batches.pop()
    if not batches:
        raise UsageError(
            f"{images} training images are fewer than one batch of recipe.batch_size = {recipe.batch_size}; lower it."
        )
    return [
        (batch[group.rank :: group.size], mix(seed, "batch", epoch, step, group.rank))
        for step, batch in enumerate(batches)
    ]
