"""`python -m senet`, which `torchrun` needs."""

from senet.cli import main

if __name__ == "__main__":
    main()
