"""Weights from elsewhere: one file of renaming rules for each origin, loaded strictly."""
