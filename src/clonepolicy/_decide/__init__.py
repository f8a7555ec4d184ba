"""Deciding and explaining: pure, and total for well-typed requests."""
