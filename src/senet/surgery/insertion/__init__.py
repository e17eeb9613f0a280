"""Insert blocks into an existing network, and remove them again."""
