"""One run: from a `Run` to a `Result`, interrupted at any moment and resumed with the same bits."""
