"""A Ray cluster as the place where runs are trained; only here Ray is imported."""
