"""Find squeeze-and-excitation blocks in any network."""
