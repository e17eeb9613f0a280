"""Record the data flow of one forward pass without changing the network."""
