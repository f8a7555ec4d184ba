"""Glance as an image service, by python-glanceclient (extra ``glance``)."""

from clonepolicy.adapters.glance._images import GlanceImages
from clonepolicy.adapters.glance._patience import Patience

__all__ = ["GlanceImages", "Patience"]
