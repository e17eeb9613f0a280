"""How a network is trained, as values: optimiser, schedule, augmentation, batch. No torch here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from senet.bounds import check, check_fields
from senet.calls import by_name
from senet.errors import SpecError
from senet.experiments.data_spec import Augment
from senet.text import counted

__all__ = ["OPTIMIZERS", "RECIPES", "SCHEDULES", "Optim", "Recipe", "Schedule"]

Optimizers = Literal["sgd", "adam", "adamw", "adadelta"]
Schedules = Literal["constant", "exponential", "steps", "cosine"]
Decays = Literal["all", "weights", "kernels"]
Amps = Literal["off", "bf16"]
OPTIMIZERS: tuple[str, ...] = get_args(Optimizers)
SCHEDULES: tuple[str, ...] = get_args(Schedules)
LARGEST = math.log(1e30)  # factor of a schedule


@by_name
@dataclass(frozen=True, kw_only=True)
class Optim:
    """An optimiser and its numbers; fields that it does not have are ignored by it.

    Attributes:
        name: the optimiser.
        lr: learning rate before the schedule.
        weight_decay: L2 coefficient, added to the gradient (decoupled for adamw).
        decay: what decays: `all` parameters, `weights` (tensors of two or more dimensions), or `kernels`
            (weights outside SE blocks, as Keras' kernel regulariser of the KTH authors).
        momentum: momentum of sgd.
        nesterov: whether sgd uses Nesterov's momentum.
        betas: decay of the two averages of adam and adamw.
        rho: decay of the average of adadelta.
        eps: number added to denominators by adam, adamw and adadelta.
        block_lr: factor of the learning rate for new parameters: those of SE blocks, and of a classifier that replaced
            another.
        layer_decay: factor of the learning rate from each layer with weights to the one before it, of all other
            parameters; 1 is off.
    """

    name: Optimizers = "sgd"
    lr: float = 0.1
    weight_decay: float = 0.0
    decay: Decays = "all"
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    rho: float = 0.9
    eps: float = 1e-8
    block_lr: float = 1.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "optim")


@by_name
@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over time as a factor of the optimiser's.

    Attributes:
        name: `constant`; `exponential`, gamma ** epoch; `steps`, the factor of the last step reached; `cosine`,
            from 1 to 0 over the run, changed at every step.
        gamma: factor of `exponential` for each epoch.
        steps: pairs (first epoch, factor) of `steps`, epochs counted from 0: `[[30, 0.1], [60, 0.01]]`.
        warmup_epochs: the factor rises linearly to its value over this time.
    """

    name: Schedules = "constant"
    gamma: float = 1.0
    steps: tuple[tuple[float, float], ...] = ()
    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "schedule")
        for epoch, factor in self.steps:
            check("schedule.steps epoch", epoch)
            check("schedule.steps factor", factor)
        # floats, as a file gives them: equal runs then have equal ids
        object.__setattr__(self, "steps", tuple((float(epoch), float(factor)) for epoch, factor in self.steps))
        if list(self.steps) != sorted(self.steps):
            raise SpecError(f"schedule.steps = {self.steps} are out of order; give pairs (epoch, factor) by epoch.")

    def factor(self, epoch: float, *, epochs: int, step: float = 0.0) -> float:
        """Return the factor of the learning rate at a point of the training.

        Args:
            epoch: epochs done, whole and part: 1.5 is the middle of the second epoch.
            epochs: length of the run.
            step: length of one step in epochs, so that the first step of a warm-up is not zero.

        Example:
            >>> Schedule(name="steps", steps=((81, 0.1), (121, 0.01))).factor(100.2, epochs=200)
            0.1
        """
        value = 1.0
        if self.name == "exponential":
            value = self.gamma ** math.floor(epoch)
        elif self.name == "steps":
            value = next((factor for first, factor in reversed(self.steps) if epoch >= first), 1.0)
        elif self.name == "cosine":
            value = 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / epochs)))
        if self.warmup_epochs:
            value *= min(1.0, (epoch + step) / self.warmup_epochs)
        return value


@by_name
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All of a training but the network, the data and the seed.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of one optimiser step, over all processes and accumulated parts.
        optim: the optimiser.
        schedule: its learning rate over time.
        augment: random changes of the training images.
        label_smoothing: probability mass moved from the true class to all classes.
        amp: `off` is float32, `bf16` runs the forward pass in bfloat16 autocast (weights stay float32).
        channels_last: memory format of maps and kernels; changes bits, not values.
        ema: decay of the averaged weights that are then evaluated, for each step; 0 is off.
        accumulate: parts in which a batch is run, to save memory; statistics of norms are then of the parts.
        clip: largest norm of the gradient; 0 is off.
        shuffle: whether the images have a new order in every epoch.
        drop_last: leave out the last batch of an epoch if it is not full.
        freeze: train the new parameters only (see `Optim.block_lr`); the others keep their values, and their norms
            their statistics.
    """

    epochs: int = 20
    batch_size: int = 128
    optim: Optim = field(default_factory=Optim)
    schedule: Schedule = field(default_factory=Schedule)
    augment: Augment = field(default_factory=Augment)
    label_smoothing: float = 0.0
    amp: Amps = "off"
    channels_last: bool = True
    ema: float = 0.0
    accumulate: int = 1
    clip: float = 0.0
    shuffle: bool = True
    drop_last: bool = False
    freeze: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "recipe")
        if self.accumulate > self.batch_size:
            raise SpecError(f"recipe.accumulate = {self.accumulate} is above the batch size {self.batch_size}.")
        if self.schedule.name == "exponential" and self.epochs * math.log(self.schedule.gamma) > LARGEST:
            raise SpecError(
                f"schedule.gamma = {self.schedule.gamma} overflows within {self.epochs} epochs; give at "
                "most 1, or a number slightly above it."
            )

    @property
    def in_words(self) -> str:
        """What is asked about first: `30 epochs, batch 128, sgd lr 0.1 cosine`."""
        batch, optim = f"batch {self.batch_size:,}", f"{self.optim.name} lr {self.optim.lr:g}"
        return f"{counted(self.epochs, 'epoch')}, {batch}, {optim} {self.schedule.name}"


RECIPES: Mapping[str, Recipe] = {
    # a small network on 1,297 digits: short, strong enough to tell designs apart
    "digits": Recipe(
        epochs=15,
        batch_size=64,
        optim=Optim(lr=0.1, nesterov=True, weight_decay=5e-4),
        schedule=Schedule(name="cosine", warmup_epochs=1),
        augment=Augment(crop=1),
        channels_last=False,
    ),
    # the project's own default for CIFAR-size images
    "sgd-cosine": Recipe(
        epochs=30,
        batch_size=128,
        optim=Optim(lr=0.1, nesterov=True, weight_decay=5e-4),
        schedule=Schedule(name="cosine", warmup_epochs=1),
        augment=Augment(flip=True, crop=4),
    ),
    # photographs of a folder
    "photos": Recipe(
        epochs=30,
        batch_size=64,
        optim=Optim(lr=0.05, nesterov=True, weight_decay=1e-4),
        schedule=Schedule(name="cosine", warmup_epochs=1),
        augment=Augment(flip=True, resized_crop=0.25),
        label_smoothing=0.1,
    ),
    # weights that exist, e.g. of ImageNet: small steps for them, larger ones for blocks and a new classifier
    "finetune": Recipe(
        epochs=15,
        batch_size=64,
        optim=Optim(lr=0.005, nesterov=True, weight_decay=1e-4, block_lr=10.0),
        schedule=Schedule(name="cosine", warmup_epochs=1),
        augment=Augment(flip=True, resized_crop=0.25),
        label_smoothing=0.1,
    ),
    # arXiv:2304.06502, Table 1; the step size is assumed: the PyTorch MNIST example
    "variations-table1": Recipe(
        epochs=50,
        batch_size=64,
        optim=Optim(name="adadelta", lr=1.0, rho=0.9, eps=1e-6),
        schedule=Schedule(name="exponential", gamma=0.7),
        channels_last=False,
    ),
    # KTH, as the authors' code does it: file order, horizontal shift of 0.3 pixels, last 16 images left out.
    # Keras' l2(1e-4) is 1e-4 * sum(w^2), which is torch's coupled weight decay 2e-4
    "kth-authors": Recipe(
        epochs=200,
        batch_size=32,
        optim=Optim(name="adam", lr=1e-3, eps=1e-7, weight_decay=2e-4, decay="kernels"),
        schedule=Schedule(name="steps", steps=((81, 0.1), (121, 0.01), (161, 0.001), (181, 0.0005))),
        augment=Augment(flip=True, shift=(0.1, 0.3 / 32)),
        shuffle=False,
        drop_last=True,
    ),
    # KTH, as the paper reads: shuffled, shifts of 0.1 both ways
    "kth-paper": Recipe(
        epochs=200,
        batch_size=32,
        optim=Optim(name="adam", lr=1e-3, eps=1e-7, weight_decay=2e-4, decay="kernels"),
        schedule=Schedule(name="steps", steps=((81, 0.1), (121, 0.01), (161, 0.001), (181, 0.0005))),
        augment=Augment(flip=True, shift=(0.1, 0.1)),
    ),
    # arXiv:2304.06502, Tables 2-4: batch 32 is stated, all else is assumed
    "variations-resnet18": Recipe(
        epochs=50,
        batch_size=32,
        optim=Optim(lr=0.05, weight_decay=5e-4),
        schedule=Schedule(name="cosine"),
    ),
    # arXiv:1709.01507, section 5: batch 1024, a tenth every 30 epochs; weight decay by the author, SENet issue 37
    "senet-imagenet": Recipe(
        epochs=100,
        batch_size=1024,
        optim=Optim(lr=0.6, weight_decay=1e-4),
        schedule=Schedule(name="steps", steps=((30, 0.1), (60, 0.01), (90, 0.001))),
        augment=Augment(flip=True, resized_crop=0.08),
    ),
    # arXiv:1709.01507, light-weight networks: about 400 epochs, a tenth at each plateau; the epochs of the steps are
    # assumed, weight decay and the gentler crop are ShuffleNet's
    "senet-mobile": Recipe(
        epochs=400,
        batch_size=256,
        optim=Optim(lr=0.1, weight_decay=4e-5),
        schedule=Schedule(name="steps", steps=((185, 0.1), (296, 0.01), (370, 0.001))),
        augment=Augment(flip=True, resized_crop=0.25),
    ),
    # arXiv:1709.01507, ablations: the fixed schedule of the footnote; batch and weight decay are assumed
    "senet-ablation": Recipe(
        epochs=270,
        batch_size=256,
        optim=Optim(lr=0.1, weight_decay=1e-4),
        schedule=Schedule(name="steps", steps=((125, 0.1), (200, 0.01), (250, 0.001))),
        augment=Augment(flip=True, resized_crop=0.08),
        label_smoothing=0.1,
    ),
    # arXiv:1603.05027, appendix: 64k iterations of 128, lr 0.01 for 400 of them, a tenth at 32k and 48k
    "preact": Recipe(
        epochs=164,
        batch_size=128,
        optim=Optim(lr=0.1, weight_decay=1e-4),
        schedule=Schedule(name="steps", steps=((0, 0.1), (400 / 391, 1.0), (32_000 / 391, 0.1), (48_000 / 391, 0.01))),
        augment=Augment(flip=True, crop=4),
    ),
    # arXiv:1605.07146, section 3
    "wrn": Recipe(
        epochs=200,
        batch_size=128,
        optim=Optim(lr=0.1, nesterov=True, weight_decay=5e-4),
        schedule=Schedule(name="steps", steps=((60, 0.2), (120, 0.04), (160, 0.008))),
        augment=Augment(flip=True, crop=4),
    ),
    # arXiv:1705.07485, section 2.1, with Cutout 16 of arXiv:1708.04552
    "shake-cutout": Recipe(
        epochs=1800,
        batch_size=128,
        optim=Optim(lr=0.2, nesterov=True, weight_decay=1e-4),
        schedule=Schedule(name="cosine"),
        augment=Augment(flip=True, crop=4, cutout=16),
    ),
}
