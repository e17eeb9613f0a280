"""Files that senet writes and trusts: no torch here."""
