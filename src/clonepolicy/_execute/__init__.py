"""Carry plans out over the ports."""
