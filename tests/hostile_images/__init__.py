"""Hostile images of every format that Glance knows, the same on each call.

Most name a file that only the host may read, in every way that the format
has.  They are made byte by byte, by nothing that the package uses.
"""

from hostile_images.canaries import NAMES, Member, plant, references
from hostile_images.corpus import hostile, well_formed

__all__ = [
    "NAMES",
    "Member",
    "hostile",
    "plant",
    "references",
    "well_formed",
]
