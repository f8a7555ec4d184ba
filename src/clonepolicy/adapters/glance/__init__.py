"""Glance as an image service, by python-glanceclient (extra ``glance``)."""

from clonepolicy.adapters.glance._api import Patience
from clonepolicy.adapters.glance._images import GlanceImages

__all__ = ["GlanceImages", "Patience"]
