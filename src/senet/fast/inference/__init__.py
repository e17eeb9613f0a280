"""Inference: convolutions, norms, blocks and sums rewritten into fewer operations."""
