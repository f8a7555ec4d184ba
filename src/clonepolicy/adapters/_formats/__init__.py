"""Disk formats: check that data is in its format, is safe, and fits.

All arrays use this package to fill volumes.  Images may be malicious:
whatever an image claims, the bytes of a volume depend on its bytes alone.
"""

from clonepolicy.adapters._formats.convert import convert, fill_file
from clonepolicy.adapters._formats.inspector import Inspector, check_supported
from clonepolicy.adapters._formats.probe import HEAD, foreign_format

__all__ = [
    "HEAD",
    "Inspector",
    "check_supported",
    "convert",
    "fill_file",
    "foreign_format",
]
