"""Fold blocks whose gates hardly depend on the image into the layers beside them."""
