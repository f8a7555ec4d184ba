"""Remedies in a local cloud: its options and commands, not Cinder's."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from clonepolicy import Finding, Remedy

_LARGER = "use a larger --size"
_SET = "run clonepolicy option set"
_REGISTERED = (
    "make a volume of the image, and make a new image of it with clonepolicy "
    "volume upload"
)
_UPLOADED = "make a new image of another volume with clonepolicy volume upload"
_IN_POOL = (
    "leave --pool out; or make a volume of the image with --pool, and a new "
    "image of it with clonepolicy volume upload"
)
_CHECKED = "see clonepolicy check, which names what does not fit"
_QUOTA = "raise it with clonepolicy quota set"
HERE = {
    "ask for a size of 1 GiB or more": "use --size 1 or more",
    "finish the image's upload": "wait until the image is active",
    "ask for a volume at least as large as the image's file": _LARGER,
    "ask for a volume of at least min_disk GiB": (
        "use --size with the min_disk of the image or more"
    ),
    "ask for a volume at least as large as the virtual size": _LARGER,
    "delete volumes, or have the quota raised": (
        "delete volumes, or raise the quota with clonepolicy quota set"
    ),
    "have the quota raised, above all the size of one volume": (
        "raise the quota with clonepolicy quota set, above all "
        "--per-volume-gigabytes"
    ),
    "upload the image from a volume with image_upload_use_cinder_backend": (
        _REGISTERED
    ),
    "upload the image from another volume": _UPLOADED,
    "upload the image from a volume that holds it": _UPLOADED,
    "keep the image in another source: this one is being deleted": _UPLOADED,
    "bring the source back to available": _CHECKED,
    "wait, or bring the source back to available": f"wait, or {_CHECKED}",
    "bring the image volume back to available": _CHECKED,
    "bring back the service that failed; the log has its error": _CHECKED,
    "mend the volume, and bring it back to available": _CHECKED,
    "ask for a volume at least as large as the source": _LARGER,
    "ask for a volume of the source's size": (
        "use --size with the size of the source"
    ),
    "keep an image volume in each pool": _IN_POOL,
    "keep an image volume on each array": _IN_POOL,
    "add cinder to allowed_direct_url_schemes": (
        f"{_SET} allowed_direct_url_schemes cinder"
    ),
    "upload the image anew with image_upload_use_internal_tenant": (
        f"{_SET} image_upload_use_internal_tenant true, and make a new image "
        "with clonepolicy volume upload"
    ),
    "set cinder_internal_tenant_project_id and "
    "cinder_internal_tenant_user_id": (
        f"{_SET} cinder_internal_tenant_project_id, and the same for "
        "cinder_internal_tenant_user_id"
    ),
    "list the volume's project in trusted_projects, if it is that of a "
    "Glance store and has no users": (
        f"{_SET} trusted_projects, if nobody uses the volume's project"
    ),
    "choose the format raw": "use --disk-format raw",
    "convert the image to raw": (
        "convert the file with qemu-img convert -O raw, and add it with "
        "clonepolicy image add"
    ),
    "unset image_conversion_disable": (
        f"{_SET} image_conversion_disable false"
    ),
    "choose a container_format other than compressed": (
        "use --container-format bare"
    ),
    "detach the volume, or wait until it is available": (
        "wait until the volume is available"
    ),
    "force the upload": "use --force",
    "set enable_force_upload": f"{_SET} enable_force_upload true",
    "ask for disk_format raw and container_format bare": (
        "use --disk-format raw and --container-format bare"
    ),
    "set image_upload_use_cinder_backend for the backend": (
        f"{_SET} image_upload_use_cinder_backend true"
    ),
    "set image_upload_use_internal_tenant": (
        f"{_SET} image_upload_use_internal_tenant true"
    ),
    "upload as a user of the volume's project, to an image of that project": (
        "use --project with the project of the volume"
    ),
    "raise the quota of the image volume's project": _QUOTA,
    "replace the source's data by a raw disk": _UPLOADED,
    "replace the volume's data by a raw disk": (
        "replace the volume's data by a raw disk"
    ),
}
"""What to do in a local cloud, for what to do with Cinder and Glance.

What is not here cannot be done in a local cloud: it has one driver, and no
volume types, clusters, cache or services.
"""


def reword(remedy: Remedy) -> Remedy | None:
    """Return a remedy in the words of a local cloud; None: it has none."""
    words = HERE.get(remedy.remedy)
    return None if words is None else attrs.evolve(remedy, remedy=words)


def remedies(finding: Finding) -> Iterator[Remedy]:
    """Yield the remedies of a finding in a local cloud."""
    yield from filter(None, map(reword, finding.remedies))
