"""What a Cinder volume driver tells of its array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder.volume import driver as base

from clonepolicy import Backend, CloneKind, FactError

_FIELDS = (
    "array_id",
    "can_clone",
    "clone_kind",
    "image_clone_kind",
    "clone_across_pools",
    "can_extend",
    "clone_while_uploading",
    "clone_limit",
)


def backend_from_driver(
    driver: Any,
    *,
    extra: Mapping[str, Any] | None = None,
    frozen: bool = False,
) -> Backend:
    """Read what a driver can do off its class, its family and its stats.

    Args:
        driver: an initialized Cinder volume driver.
        extra: the backend's ``extra_capabilities``; the names of
            `clonepolicy.Backend` count there, over all else.
        frozen: whether the backend's service is frozen.

    What neither the driver nor the operator tells stays unknown.

    Raises:
        FactError: a value is not what its field holds.
    """
    told: dict[str, Any] = {
        "can_clone": _does(driver, "create_cloned_volume"),
        "can_extend": _does(driver, "extend_volume"),
    }
    family = _family(driver)
    told.update(family)
    for source in (getattr(driver, "capabilities", None), extra):
        if isinstance(source, Mapping):
            told.update({f: source[f] for f in _FIELDS if f in source})
    if "array_id" in family:
        # what the array says of itself is compared with what URLs say of it
        told["array_id"] = family["array_id"]
    for name in ("clone_kind", "image_clone_kind"):
        kind = told.get(name)
        if kind is not None and kind not in tuple(CloneKind):
            expected = f"one of {', '.join(CloneKind)}"
            raise FactError(f"Backend.{name}", kind, expected)
        told[name] = None if kind is None else CloneKind(kind)
    return Backend(
        **told,
        frozen=frozen,
        image_schemes=frozenset({"rbd"} if is_rbd(driver) else ()),
    )


def _does(driver: object, name: str) -> bool:
    """Say whether a driver has a method of its own, not just the base's."""
    method = getattr(type(driver), name, None)
    return method is not None and method not in {
        getattr(base.BaseVD, name, None),
        getattr(base.VolumeDriver, name, None),
    }


def _family(driver: Any) -> dict[str, Any]:
    """What is known of a family of drivers, by reading their source."""
    if is_rbd(driver):
        depth = driver.configuration.safe_get("rbd_max_clone_depth")
        copied = isinstance(depth, int) and depth <= 0
        return {
            "array_id": driver._get_fsid(),
            "clone_kind": (
                CloneKind.FULL_COPY if copied else CloneKind.COPY_ON_WRITE
            ),
            "image_clone_kind": CloneKind.COPY_ON_WRITE,
            "clone_while_uploading": True,
        }
    if _is_a(driver, "cinder.volume.drivers.remotefs", "RemoteFSDriver"):
        # _create_cloned_volume accepts available, backing-up, downloading
        return {"clone_while_uploading": False}
    if _is_a(driver, "cinder.volume.drivers.lvm", "LVMVolumeDriver"):
        return {"clone_while_uploading": True}
    return {}


def is_rbd(driver: object) -> bool:
    """Say whether it is Cinder's driver for RBD."""
    return _is_a(driver, "cinder.volume.drivers.rbd", "RBDDriver")


def _is_a(driver: object, module: str, name: str) -> bool:
    """Ask for a class by name: importing each driver needs its packages."""
    return any(
        (kind.__module__, kind.__name__) == (module, name)
        for kind in type(driver).__mro__
    )
