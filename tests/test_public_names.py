"""The public names: one path each, listed here."""

from __future__ import annotations

CORE = 70
"""The most names that ``clonepolicy`` itself may export."""
