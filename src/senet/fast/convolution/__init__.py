"""3x3 convolutions by Winograd's algorithm, where that is faster on this machine."""
