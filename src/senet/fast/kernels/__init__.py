"""Kernels of fused norms: plain torch (reference), C++ for CPUs, Triton for CUDA, and a self-check before first use."""
