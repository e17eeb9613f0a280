"""The network architectures: one file per family; `zoo` builds them by name."""

from senet.models.network import Network
from senet.models.zoo import ZOO, create_model, image_size, list_models

__all__ = ["ZOO", "Network", "create_model", "image_size", "list_models"]
