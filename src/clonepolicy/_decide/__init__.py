"""Deciding and explaining: no I/O, and no error for a valid request."""
