"""Tables, figures and files: what the commands print and write, all from the same values."""
