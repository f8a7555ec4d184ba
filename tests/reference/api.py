"""What Cinder's API and its download path refuse."""

from __future__ import annotations

from typing import Any

from reference.questions import gigabytes, lacks_space, quota_against


def api_refusals(request: Any) -> set[str]:
    """Collect what Cinder's API refuses (1.1)."""
    image = request.image
    volume = request.volume
    kind = volume.volume_type
    found = set()
    if volume.size < 1:  # A3
        found.add("size-invalid")
    if kind is not None:  # A4
        if kind.min_vol_size is not None and volume.size < kind.min_vol_size:
            found.add("type-size-limit")
        if kind.max_vol_size is not None and volume.size > kind.max_vol_size:
            found.add("type-size-limit")
    if not image.visible:  # A6
        found.add("image-not-visible")
    if image.status != "active":  # A7
        found.add("image-not-active")
    if image.size is not None and gigabytes(image.size) > volume.size:  # A8
        found.add("image-larger-than-volume")
    if volume.size < image.min_disk:  # A9
        found.add("below-min-disk")
    if image.virtual_size and gigabytes(image.virtual_size) > volume.size:
        found.add("virtual-size-too-big")  # A10
    if volume.multiattach and volume.encryption_key_id is not None:  # A14
        found.add("multiattach-encrypted")
    return found | quota_against(request.quota, volume.size, "quota-exceeded")


def ordinary_closed(request: Any) -> set[str]:
    """Collect what closes the download (K1, K13, K14)."""
    image = request.image
    config = request.config
    found = set()
    if image.disk_format != "raw" and config.image_conversion_disable:
        found.add("conversion-disabled")  # K13
    if (
        image.container_format == "compressed"
        and not config.allow_compression_on_image_upload
    ):
        found.add("compression-disabled")  # K14
    if lacks_space(request):
        found.add("conversion-space")  # K1
    return found


def upload_refusals(request: Any) -> set[str]:
    """Collect what Cinder's API refuses (2.1)."""
    image = request.image
    volume = request.volume
    found = set()
    status = volume.status
    if status == "uploading":  # U7
        status = volume.previous_status
    if status == "in-use" and request.force:  # U6
        if not request.config.enable_force_upload:
            found.add("force-disabled")
    elif status != "available":
        found.add("volume-not-uploadable")
    if volume.encryption_key_id is not None:  # U3
        raw = image.disk_format == "raw"
        bare = image.container_format == "bare"
        if not (raw and bare):
            found.add("format-for-encrypted-upload")
    if (
        image.container_format == "compressed"
        and not request.config.allow_compression_on_image_upload
    ):
        found.add("compression-disabled")  # U11
    return found
