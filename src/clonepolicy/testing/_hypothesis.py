"""The ``hypothesis`` entry point: `from_type` can draw the records."""

from __future__ import annotations

from typing import Any

import clonepolicy as c
from clonepolicy.ports import StoredImage

_STRATEGIES = {
    c.ArrayImage: "array_images",
    c.Backend: "backends",
    c.CacheEntry: "cache_entries",
    c.Config: "configs",
    c.CreateRequest: "create_requests",
    c.GlanceConfig: "glance_configs",
    c.Host: "hosts",
    c.Image: "images",
    c.ImageVolume: "image_volumes",
    c.Quota: "quotas",
    StoredImage: "stored_images",
    c.UploadRequest: "upload_requests",
    c.Volume: "volumes",
    c.VolumeType: "volume_types",
}


def register() -> None:
    """Register a strategy for every record."""
    # hypothesis is only half imported when it calls this
    from hypothesis import strategies as st  # noqa: PLC0415

    for kind in _STRATEGIES:
        st.register_type_strategy(kind, _strategy)


def _strategy(kind: type) -> Any:  # noqa: ANN401 - of hypothesis, as above
    from clonepolicy.testing import strategies  # noqa: PLC0415 - the same

    return getattr(strategies, _STRATEGIES[kind])()
