"""Volumes as images of a Ceph pool, cloned by librbd (extra ``arrays``).

It takes librbd's own Python bindings, which Debian has as python3-rbd.
"""

from clonepolicy.adapters.rbd._array import RbdArray

__all__ = ["RbdArray"]
