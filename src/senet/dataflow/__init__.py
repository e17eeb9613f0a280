"""The data flow of one forward pass, recorded without changing the network."""
