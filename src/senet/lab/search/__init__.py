"""Search over designs: a space as a file, strategies that know nothing of training, a driver, and a report."""
