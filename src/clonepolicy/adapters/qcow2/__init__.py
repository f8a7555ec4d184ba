"""Volumes as qcow2 files of one directory, on layers (extra ``arrays``).

What a volume and its clones have in common lies in layers, files that are
never written again; each volume is a file of its own on top of them::

    volume-A ──▶ layer-1 ──▶ layer-3
    volume-B ──▶ layer-2 ──▶ layer-3

Here layer-1 and layer-2 are two names of one file, a hard link for each
file that rests on it.  So every name is needed by one file only, the file
system counts who needs a layer, and a volume goes without a look at others.
"""

from clonepolicy.adapters.qcow2._array import Qcow2Array

__all__ = ["Qcow2Array"]
