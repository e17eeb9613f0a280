"""Graph optimization for inference: convolutions, norms, blocks and sums rewritten into fewer operations."""
