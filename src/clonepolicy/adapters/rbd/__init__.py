"""Volumes as images of a Ceph pool, cloned by librbd (extra ``arrays``).

It needs librbd's own Python bindings; Debian's package is python3-rbd.
"""

from clonepolicy.adapters.rbd._array import RbdArray

__all__ = ["RbdArray"]
