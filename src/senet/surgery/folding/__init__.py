"""Fold blocks whose gates hardly depend on the image into adjacent layers."""
