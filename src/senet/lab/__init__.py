"""Runs, studies, training, execution and reports: everything that touches files and devices."""
