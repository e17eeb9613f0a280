"""Squeeze-and-excitation for people who own a convolutional network."""
