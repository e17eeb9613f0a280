"""Read and write files safely: atomic writes, locks, the cache, JSON and TOML. No torch here."""
