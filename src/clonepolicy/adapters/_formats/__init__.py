"""Disk formats: check that data is in its format, is safe, and fits.

All arrays use this package to fill volumes.  Images may be malicious:
whatever an image claims, the bytes of a volume depend on its bytes alone.
"""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use

if TYPE_CHECKING:
    from clonepolicy.adapters._formats.conversion import convert, fill_file
    from clonepolicy.adapters._formats.inspector import (
        Inspector,
        check_supported,
    )
    from clonepolicy.adapters._formats.probe import HEAD, foreign_format
else:
    # Cinder 24 and 25 come with an oslo.utils that has no inspectors
    __getattr__, __dir__ = on_first_use(
        __name__, "probe", "inspector", "conversion"
    )

__all__ = [
    "HEAD",
    "Inspector",
    "check_supported",
    "convert",
    "fill_file",
    "foreign_format",
]
