"""Make records from the answers of APIs and from rows of databases.

The functions read mappings and keep nothing.  A field that is missing or
has the wrong type raises `FactError`; no value is guessed.  ``image_size``
and other metadata of a volume that its tenant can write are never read.
"""

from clonepolicy.adapters.records._cinder import (
    hidden_columns,
    quota_from_api,
    shows_extra_specs,
    volume_from_api,
    volume_from_row,
    volume_type_from_api,
)
from clonepolicy.adapters.records._glance import (
    has_location_api,
    image_from_v2,
    locations_from_v2,
    stores_from_v2,
)
from clonepolicy.adapters.records._pools import Pool, pool_from_api

__all__ = [
    "Pool",
    "has_location_api",
    "hidden_columns",
    "image_from_v2",
    "locations_from_v2",
    "pool_from_api",
    "quota_from_api",
    "shows_extra_specs",
    "stores_from_v2",
    "volume_from_api",
    "volume_from_row",
    "volume_type_from_api",
]
