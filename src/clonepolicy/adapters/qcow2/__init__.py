"""Volumes as qcow2 files of one directory, on layers (extra ``arrays``).

Data that a volume shares with its clones is in layers: files that are never
written again.  Each volume has a file of its own on top of them::

    volume-A ──▶ layer-1 ──▶ layer-3
    volume-B ──▶ layer-2 ──▶ layer-3

Here layer-1 and layer-2 are two hard links to one file.  Every file that
rests on a layer has its own link to it, so the file system counts who needs
a layer, and a volume is removed without looking at other volumes.
"""

from clonepolicy.adapters.qcow2._array import Qcow2Array

__all__ = ["Qcow2Array"]
