"""Search over designs: a space as a file, strategies that know nothing of training, and a driver."""
