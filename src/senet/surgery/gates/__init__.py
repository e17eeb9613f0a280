"""Read the gates of blocks of any library while a network runs."""
