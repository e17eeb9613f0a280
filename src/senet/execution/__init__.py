"""Many runs: what is missing is trained, here or elsewhere, and what is there is read."""
