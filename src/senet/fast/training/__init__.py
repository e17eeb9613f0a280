"""Training with fewer passes over the maps: norm, block, sum and ReLU as fused autograd operations."""
