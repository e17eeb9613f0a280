"""Training in fewer passes over the maps: norm, block, sum and ReLU fused."""
