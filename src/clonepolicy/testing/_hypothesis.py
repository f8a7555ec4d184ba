"""The ``hypothesis`` entry point: `from_type` can draw the records."""

from __future__ import annotations


def register() -> None:
    """Register a strategy for every record."""
    from hypothesis import strategies as st  # noqa: PLC0415 - only if used

    import clonepolicy as c  # noqa: PLC0415 - the same
    from clonepolicy.testing import strategies as s  # noqa: PLC0415

    for kind, strategy in (
        (c.ArrayImage, s.array_images()),
        (c.Backend, s.backends()),
        (c.CacheEntry, s.cache_entries()),
        (c.Config, s.configs()),
        (c.CreateRequest, s.create_requests()),
        (c.GlanceConfig, s.glance_configs()),
        (c.Host, s.hosts()),
        (c.Image, s.images()),
        (c.ImageVolume, s.image_volumes()),
        (c.Quota, s.quotas()),
        (c.StoredImage, s.stored_images()),
        (c.UploadRequest, s.upload_requests()),
        (c.Volume, s.volumes()),
        (c.VolumeType, s.volume_types()),
    ):
        st.register_type_strategy(kind, strategy)
