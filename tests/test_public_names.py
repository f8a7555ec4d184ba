"""The public names: one path each, listed here."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import pytest

import clonepolicy

CORE = 70
"""The most names that ``clonepolicy`` itself may export."""
