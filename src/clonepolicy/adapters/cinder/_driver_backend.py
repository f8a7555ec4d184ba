"""What a Cinder volume driver declares about its array."""

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
    """Read what a driver can do: its class, its family, its capabilities.

    A field stays None if neither the driver nor the operator declares it.

    Args:
        driver: an initialized Cinder volume driver.
        extra: the backend's ``extra_capabilities``.  Its items that are
            named like fields of `clonepolicy.Backend` override the driver's.
        frozen: whether the backend's service is frozen.

    Raises:
        FactError: a declared value is invalid.
    """
    declared: dict[str, Any] = {
        "can_clone": _implements(driver, "create_cloned_volume"),
        "can_extend": _implements(driver, "extend_volume"),
    }
    family = _family(driver)
    declared.update(family)
    for source in (getattr(driver, "capabilities", None), extra):
        if isinstance(source, Mapping):
            declared.update({f: source[f] for f in _FIELDS if f in source})
    if "array_id" in family:
        # it is compared with URLs, which contain the array's own name
        declared["array_id"] = family["array_id"]
    for name in ("clone_kind", "image_clone_kind"):
        kind = declared.get(name)
        if kind is not None and kind not in tuple(CloneKind):
            expected = f"one of {', '.join(CloneKind)}"
            raise FactError(f"Backend.{name}", kind, expected)
        declared[name] = None if kind is None else CloneKind(kind)
    return Backend(
        **declared,
        frozen=frozen,
        image_schemes=frozenset({"rbd"} if is_rbd(driver) else ()),
    )


def _implements(driver: object, name: str) -> bool:
    """Return whether a driver overrides a method of the base classes."""
    method = getattr(type(driver), name, None)
    return method is not None and method not in {
        getattr(base.BaseVD, name, None),
        getattr(base.VolumeDriver, name, None),
    }


def _family(driver: Any) -> dict[str, Any]:
    """Return what the source code of a family of drivers shows."""
    if is_rbd(driver):
        depth = driver.configuration.safe_get("rbd_max_clone_depth")
        copies = isinstance(depth, int) and depth <= 0
        return {
            "array_id": driver._get_fsid(),
            "clone_kind": (
                CloneKind.FULL_COPY if copies else CloneKind.COPY_ON_WRITE
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
    """Return whether it is Cinder's RBD driver."""
    return _is_a(driver, "cinder.volume.drivers.rbd", "RBDDriver")


def _is_a(driver: object, module: str, name: str) -> bool:
    """Look for a class by name: importing a driver needs its packages."""
    return any(
        (kind.__module__, kind.__name__) == (module, name)
        for kind in type(driver).__mro__
    )
