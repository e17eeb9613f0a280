"""Classes of layers by what they do."""

from torch import nn

__all__ = ["BATCH_NORMS", "CONVS", "LAYERS"]

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*CONVS, nn.Linear)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Norms with statistics of the batch."""
