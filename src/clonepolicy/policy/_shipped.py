"""The shipped policies: the rules in each of their tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clonepolicy._facts.requests import ArrayImage, CacheEntry, ImageVolume
from clonepolicy.policy._order import last_used_first, newest_first
from clonepolicy.policy._rule import CreateRule, SourceRule, UploadRule
from clonepolicy.policy._rules import (
    cache,
    cinder,
    cloning,
    data,
    location,
    missing,
    older_cinder,
    place,
    request,
    source,
    upload,
)
from clonepolicy.policy._tables import (
    CloneTable,
    CreateTables,
    Policy,
    Route,
    UploadTables,
)

_API_CREATE = (
    request.size_positive,
    request.type_allows_size,
    request.image_visible,
    request.image_active,
    request.image_fits,
    request.min_disk_met,
    request.virtual_size_fits,
    request.multiattach_unencrypted,
    request.quota_known,
    request.quota_suffices,
)
_DOWNLOAD = (
    request.conversion_allowed,
    request.compression_allowed,
    request.conversion_space,
)
_API_UPLOAD = (
    upload.volume_uploadable,
    upload.force_enabled,
    upload.encrypted_as_it_is,
    request.compression_allowed,
)
_ANY_CLONE = (
    cloning.new_volume_unencrypted,
    cloning.image_unencrypted,
    cloning.signature_not_required,
    cloning.array_can_clone,
    cloning.backend_thawed,
    cloning.image_owned,
    cloning.container_bare,
)
_LOCATED_CLONE = (
    *_ANY_CLONE,
    cloning.disk_format_raw,
    cloning.size_known,
    cloning.locations_readable,
    cloning.locations_shown,
)
_MISSING = (
    missing.source_found,
    missing.source_permitted,
    missing.source_answered,
)
_MISSING_IMAGE = (*_MISSING, missing.source_asked, missing.image_here)
_MISSING_VOLUME = (*_MISSING, missing.source_asked, missing.source_here)
_MISSING_ENTRY = (*_MISSING, missing.entry_asked, missing.source_here)
_ANY_SOURCE = (
    source.source_ready,
    source.source_unencrypted,
    source.source_fits,
    source.source_holds_image,
    source.extend_possible,
    source.clones_known,
    source.below_clone_limit,
    source.source_not_refused,
)
_VOLUME_SOURCE = (
    *_ANY_SOURCE,
    source.source_is_another,
    source.backref_matches,
    source.source_in_use_cloned,
    source.type_specs_equal,
    source.type_qos_equal,
    place.same_host,
    place.same_cluster,
    place.same_pool,
    place.same_array,
)
_CLONE_NOTES = (cloning.parent_free,)
_IMAGE_NOTES = (
    cloning.nothing_to_verify,
    cloning.locations_protected,
)

SAFE = Policy(
    name="SAFE",
    version=2,
    create=CreateTables(
        refuse=(*_API_CREATE, request.image_downloadable),
        clone=(
            CloneTable[ArrayImage](
                route=Route.ARRAY_IMAGE,
                preconditions=(
                    *_LOCATED_CLONE,
                    cloning.driver_goes_by_locations,
                    cloning.has_array_image,
                ),
                source_rules=(
                    *_MISSING_IMAGE,
                    *_ANY_SOURCE,
                    source.source_size_known,
                    location.location_well_formed,
                    location.scheme_supported,
                    location.same_fsid,
                    location.image_on_same_array,
                    location.pool_allowed,
                    location.location_names_image,
                ),
                notes=(cloning.image_parent_free, *_IMAGE_NOTES),
                source_notes=(
                    source.no_extension,
                    source.source_inspected,
                    source.source_readable,
                ),
            ),
            CloneTable[ImageVolume](
                route=Route.IMAGE_VOLUME,
                preconditions=(
                    *_LOCATED_CLONE,
                    cloning.scheme_allowed,
                    cloning.has_image_volume,
                ),
                source_rules=(
                    *_MISSING_VOLUME,
                    *_VOLUME_SOURCE,
                    location.location_names_volume,
                    location.source_is_named,
                    source.backing_owned,
                ),
                notes=(*_CLONE_NOTES, *_IMAGE_NOTES),
                source_notes=(
                    source.no_extension,
                    source.source_inspected,
                    source.source_readable,
                    source.source_immutable,
                ),
            ),
            CloneTable[CacheEntry](
                route=Route.CACHE_ENTRY,
                preconditions=(
                    *_ANY_CLONE,
                    cloning.cache_enabled,
                    cloning.internal_tenant_set,
                    cloning.cache_readable,
                    cloning.has_cache_entry,
                    cache.cache_large_enough,
                    cache.cache_quota_suffices,
                ),
                source_rules=(
                    *_MISSING_ENTRY,
                    *_VOLUME_SOURCE,
                    source.cache_vouched,
                    source.entry_is_for_image,
                    source.entry_fresh,
                ),
                notes=_CLONE_NOTES,
                source_notes=(source.no_extension,),
            ),
        ),
        download=(
            *_DOWNLOAD,
            data.data_not_ciphertext,
            data.data_attachable,
            data.data_owned,
            data.data_of_image,
            data.key_taken_over,
        ),
        download_notes=(data.data_vouched, data.header_fits),
    ),
    upload=UploadTables(
        refuse=(*_API_UPLOAD, request.conversion_allowed, upload.image_queued),
        register=(
            cloning.disk_format_raw,
            cloning.container_bare,
            cloning.image_owned,
            cloning.array_can_clone,
            cloning.backend_thawed,
            upload.upload_backend_enabled,
            upload.uploaded_unencrypted,
            upload.uploaded_settled,
            cloning.signature_not_required,
            cloning.image_unencrypted,
            upload.one_project,
            upload.uploaded_placed,
            upload.uploaded_holds_image,
            upload.uploaded_has_min_disk,
            upload.wanted_tenant_set,
            upload.clone_quota_known,
            upload.clone_quota_suffices,
            upload.clones_while_uploading,
            upload.uploaded_clones_known,
            upload.uploaded_in_use_cloned,
            upload.uploaded_below_limit,
            upload.uploaded_not_refused,
            upload.glance_known,
            upload.store_resolved,
            upload.location_writable,
            upload.location_settable,
            upload.has_service_role,
            upload.sees_private_images,
        ),
        notes=(
            cloning.scheme_allowed,
            cloning.parent_free,
            upload.uploaded_inspected,
            upload.uploaded_readable,
            upload.registered_at_once,
            upload.clone_immutable,
        ),
    ),
)
"""The default, for careful operators."""

LIBERTY = Policy(
    name="LIBERTY",
    version=2,
    create=CreateTables(
        clone=(
            CloneTable[ImageVolume](
                route=Route.IMAGE_VOLUME,
                preconditions=(
                    cloning.disk_format_raw,
                    cloning.scheme_allowed,
                    cloning.locations_readable,
                    cloning.locations_shown,
                    cloning.has_image_volume,
                ),
                source_rules=(
                    *_MISSING_VOLUME,
                    location.location_names_volume,
                    cinder.spec_same_host,
                    cinder.spec_same_owner,
                ),
                source_notes=(source.no_extension,),
            ),
        )
    ),
    upload=UploadTables(
        register=(
            cloning.disk_format_raw,
            upload.upload_backend_enabled,
            upload.wanted_tenant_set,
        )
    ),
)
"""The Liberty specification to the letter, and nothing more.

"In the format of cinder://" is read as ``cinder://[store/]volume-id`` in its
canonical form: the specification writes the first, Cinder later the store.
"""


def _stock(  # noqa: PLR0913 - one for each part in which releases differ
    name: str,
    version: int,
    *,
    read: CreateRule = cinder.cinder_locations_read,
    seen: tuple[CreateRule, ...] = (
        cinder.cinder_sees_locations,
        cinder.cinder_locations_shown,
    ),
    placed: tuple[SourceRule[ImageVolume], ...] = (
        cinder.cinder_same_host,
        cinder.cinder_same_cluster,
    ),
    cached: SourceRule[CacheEntry] = cinder.cinder_cache_place,
    registered: UploadRule = cinder.no_store_for_api,
) -> Policy:
    """Return what a release of Cinder does, by default Cinder 29."""
    return Policy(
        name=name,
        version=version,
        create=CreateTables(
            refuse=(
                *_API_CREATE,
                cloning.size_known,
                read,
            ),
            clone=(
                CloneTable[ArrayImage](
                    route=Route.ARRAY_IMAGE,
                    preconditions=(
                        cloning.new_volume_unencrypted,
                        cloning.disk_format_raw,
                        *seen,
                        cinder.cinder_driver_goes_by_locations,
                        cloning.has_array_image,
                    ),
                    source_rules=(
                        *_MISSING_IMAGE,
                        location.location_well_formed,
                        location.scheme_supported,
                        location.same_fsid,
                    ),
                    tries=1,
                    notes=(cloning.signature_not_required,),
                    source_notes=(source.no_extension,),
                ),
                CloneTable[ImageVolume](
                    route=Route.IMAGE_VOLUME,
                    preconditions=(
                        cloning.new_volume_unencrypted,
                        cloning.disk_format_raw,
                        cloning.container_bare,
                        cloning.scheme_allowed,
                        *seen,
                        cloning.has_image_volume,
                    ),
                    source_rules=(
                        *_MISSING_VOLUME,
                        cinder.cinder_names_volume,
                        *placed,
                        cinder.cinder_owner,
                    ),
                    order=newest_first,
                    tries=1,
                    notes=(cloning.signature_not_required,),
                    source_notes=(source.no_extension,),
                ),
                CloneTable[CacheEntry](
                    route=Route.CACHE_ENTRY,
                    preconditions=(
                        cloning.new_volume_unencrypted,
                        cloning.cache_enabled,
                        cloning.internal_tenant_set,
                        request.conversion_space,
                        cloning.cache_readable,
                        cloning.has_cache_entry,
                        cache.cache_large_enough,
                        cache.cache_quota_suffices,
                    ),
                    source_rules=(
                        *_MISSING_ENTRY,
                        source.entry_is_for_image,
                        source.entry_fresh,
                        cached,
                    ),
                    order=last_used_first,
                    tries=1,
                    notes=(cloning.signature_not_required,),
                    source_notes=(source.no_extension,),
                ),
            ),
            download=(*_DOWNLOAD, request.image_downloadable),
        ),
        upload=UploadTables(
            refuse=(
                *_API_UPLOAD,
                cinder.cinder_clone_quota_known,
                cinder.cinder_clone_quota,
            ),
            register=(
                upload.upload_backend_enabled,
                cloning.disk_format_raw,
                cloning.container_bare,
            ),
            upload=(request.conversion_allowed,),
            notes=(
                cinder.tenant_as_wanted,
                registered,
                upload.clones_while_uploading,
                upload.uploaded_unencrypted,
            ),
        ),
    )


CINDER_29 = _stock("CINDER_29", 2)
"""What cinder 29.0.0 does, bugs included."""

CINDER_28 = _stock("CINDER_28", 1, cached=older_cinder.cinder28_cache_place)
"""What cinder 28.0.0 does."""

CINDER_27 = _stock(
    "CINDER_27",
    1,
    placed=(
        older_cinder.cinder27_same_host,
        older_cinder.cinder27_same_cluster,
    ),
    cached=older_cinder.cinder28_cache_place,
)
"""What cinder 27.0.0 does."""

CINDER_26 = _stock(
    "CINDER_26",
    1,
    read=older_cinder.cinder26_locations_read,
    seen=(older_cinder.cinder26_sees_locations,),
    placed=(older_cinder.cinder26_same_host,),
    cached=older_cinder.cinder28_cache_place,
    registered=older_cinder.cinder26_location_writable,
)
"""What cinder 24.5.0, 25.3.1 and 26.3.0 do.

Cinder 24 never asks whether the array clones across pools: to it, none does.
"""

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            SAFE,
            LIBERTY,
            CINDER_26,
            CINDER_27,
            CINDER_28,
            CINDER_29,
        )
    }
)
"""The shipped policies by name."""
