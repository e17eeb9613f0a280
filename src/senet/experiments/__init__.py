"""Values of an experiment: what is trained, on what, how, and what came out. No torch here."""
