"""Disk formats: check that data is in its format, is safe, and fits.

All arrays fill volumes by this package.  Images may be malicious: whatever
one says, the bytes of a volume depend on the bytes of its image alone.
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
