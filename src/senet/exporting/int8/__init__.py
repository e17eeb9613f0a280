"""Quantisation to int8 with a precision for every block, chosen by what it costs."""
