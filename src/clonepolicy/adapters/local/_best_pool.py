"""The pool of a new volume, if its user names none."""

from __future__ import annotations

from itertools import chain

from clonepolicy import AdapterError, Backend, CloneKind
from clonepolicy.adapters._files.paths import bytes_on_disk
from clonepolicy.adapters.local._store import WHOLE, Store


def best_pool(store: Store, image_id: str) -> str:
    """Return the pool where a volume from an image costs least.

    If the image's data is only in a pool that is not there, that is the pool,
    so that the error is about it.

    Raises:
        UnavailableError: no pool is there now.
    """
    pools = [name for name in store.pools if name not in store.absent]
    data = store.catalogue.backing(image_id)
    if data and not any(row["pool"] in pools for row in data):
        return str(data[0]["pool"])
    sources = {
        row["pool"]: _backend(store, row["pool"])
        for row in data
        if row["status"] in WHOLE and row["pool"] in pools
    }
    arrays = {*chain.from_iterable(map(_reflinks, sources.values()))}
    needed = bytes_on_disk(store.image_path(image_id))

    def worth(pool: str) -> tuple[bool, bool, bool, bool, int]:
        can, free = _backend(store, pool), store.free(pool)
        reflinks = _reflinks(can)
        by_reflink = not arrays.isdisjoint(reflinks)
        in_place = pool in sources
        return by_reflink, in_place, free >= needed, bool(reflinks), free

    return max(pools or store.pools, key=worth)


def _backend(store: Store, pool: str) -> Backend | None:
    try:
        return store.backend(pool)
    except AdapterError:  # a full file system cannot be tried
        return None


def _reflinks(can: Backend | None) -> frozenset[str | None]:
    """Return the array on which a pool clones by reflink, if it does."""
    if can is None or can.clone_kind is not CloneKind.COPY_ON_WRITE:
        return frozenset()
    return frozenset({can.array_id})
