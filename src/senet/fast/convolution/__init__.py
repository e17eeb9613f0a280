"""3x3 convolutions by Winograd's algorithm, used where it is faster on this machine."""
