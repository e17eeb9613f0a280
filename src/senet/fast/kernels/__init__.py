"""Kernels: the reference, C++ for CPUs, Triton for CUDA, and the check before their first use."""
