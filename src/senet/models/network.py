"""The base class of all families: a body of named parts, a pooling and a classifier.

Letters in shapes: n images, c channels, h and w sizes, k classes, f features.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from senet.models.checkpointing import checkpointed

__all__ = ["GlobalAvgPool", "Network"]


class GlobalAvgPool(nn.Module):
    """Average every channel over all positions: `(n, c, h, w) -> (n, c)`."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c"]:
        """Average."""
        return x.mean(dim=(2, 3))


class Network(nn.Module):
    """An image classifier, `fc(drop(pool(body(x))))`; the parts of the body are named children in execution order.

    Args:
        body: the parts by name; the names are state-dict keys.
        num_features: output channels of the pooling, the inputs of the classifier.
        num_classes: outputs; 0 returns the features.
        pool: maps the output of the body to `(n, num_features)`; None is global average pooling.
        drop: probability of dropping a feature before the classifier.
    """

    def __init__(
        self,
        body: Mapping[str, nn.Module],
        *,
        num_features: int,
        num_classes: int,
        pool: nn.Module | None = None,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        for name, part in body.items():
            self.add_module(name, part)
        self.parts = tuple(body)
        self.num_features = num_features
        self.pool = pool or GlobalAvgPool()
        self.drop = nn.Dropout(drop)
        self.grad_checkpointing = False
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one with `num_classes` outputs; 0 removes it."""
        self.num_classes = num_classes
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the classifier; the method name is timm's."""
        return self.fc

    def forward_features(self, x: Float[Tensor, "n c h w"]) -> Tensor:
        """Return the feature map of the body, before pooling."""
        for name in self.parts:
            part = getattr(self, name)
            x = checkpointed(part, x) if self.grad_checkpointing else part(x)
        return x

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Switch gradient checkpointing of the stem and the stages on or off; the method name is timm's.

        The backward pass then runs each of them again instead of keeping their maps: less memory, a third more time,
        the same values.
        """
        self.grad_checkpointing = enable

    def forward_head(self, x: Tensor) -> Float[Tensor, "n k"]:
        """Apply pooling, dropout and the classifier."""
        logits: Tensor = self.fc(self.drop(self.pool(x)))
        return logits

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits of every image."""
        return self.forward_head(self.forward_features(x))
