"""Glance, through python-glanceclient v2."""
