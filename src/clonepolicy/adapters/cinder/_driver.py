"""What a Cinder volume driver can do: its code, its reports, the operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cinder.volume import driver as base

from clonepolicy import (
    Backend,
    CloneKind,
)
from clonepolicy.adapters._families import (
    LVM,
    NO_IMAGES,
    ONTAP_NFS,
    OWN_IMAGES,
    definer,
    family_of,
)
from clonepolicy.adapters.records._pools import (
    DECLARABLE,
    declared_backend,
    reported_array,
)

_BASES = "cinder.volume.driver."
_MIXIN = "clonepolicy.adapters.cinder._drop_in.entry_points.PolicyDriverMixin"


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
    declared: dict[str, Any] = {}
    for _, facts in _declarations(driver, extra):
        declared.update(facts)
    return declared_backend(declared, rbd=is_rbd(driver), frozen=frozen)


def _declarations(
    driver: Any, extra: Mapping[str, Any] | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield who says what about a driver; the last one counts."""
    code = {
        "can_clone": _implements(driver, "create_cloned_volume"),
        "can_extend": _implements(driver, "extend_volume"),
        "finds_images": _finds_images(driver),
        **_family(driver),
    }
    yield "code", code
    for name, source in (
        ("capabilities", getattr(driver, "capabilities", None)),
        ("extra_capabilities", extra),
    ):
        if isinstance(source, Mapping):
            yield name, {f: source[f] for f in DECLARABLE if f in source}
    if "array_id" in code:
        # it is compared with URLs, which contain the array's own name
        yield "code", {"array_id": code["array_id"]}


def told_by(
    driver: Any, extra: Mapping[str, Any] | None
) -> Mapping[str, Mapping[str, Any]]:
    """Return who says what of a driver's `Backend`, as far as it counts.

    The keys are ``code``, the driver's ``capabilities`` and the backend's
    ``extra_capabilities``.
    """
    told: dict[str, tuple[str, Any]] = {}
    for name, facts in _declarations(driver, extra):
        told.update({field: (name, facts[field]) for field in facts})
    return {
        source: {
            field: value
            for field, (name, value) in sorted(told.items())
            if name == source and value is not None
        }
        for source in ("code", "capabilities", "extra_capabilities")
    }


def _implements(driver: object, name: str) -> bool:
    """Return whether a driver overrides a method of the base classes."""
    method = getattr(type(driver), name, None)
    return method is not None and method not in {
        getattr(base.BaseVD, name, None),
        getattr(base.VolumeDriver, name, None),
    }


def _family(driver: Any) -> dict[str, Any]:
    """Return what the source code of a family of drivers shows."""
    known = family_of(driver)
    facts = {} if known is None else known.facts()
    kind = None if known is None else known.definer
    if is_rbd(driver):
        depth = _option(driver, "rbd_max_clone_depth")
        copies = isinstance(depth, int) and depth <= 0
        facts |= {
            "array_id": _cluster_of(driver),
            "clone_kind": (
                CloneKind.FULL_COPY if copies else CloneKind.COPY_ON_WRITE
            ),
            "image_clone_kind": CloneKind.COPY_ON_WRITE,
        }
    elif kind == LVM and _option(driver, "lvm_type") == "thin":
        facts["clone_kind"] = CloneKind.THIN_COPY
    elif kind == ONTAP_NFS and _copies_in_flexgroups(driver):
        # then RemoteFS copies some of the sources, and not those in use
        facts |= {"clone_while_uploading": None, "clone_in_use": None}
    return facts


def _cluster_of(driver: Any) -> str:
    """Return the id of an RBD driver's cluster, from its last report.

    To ask the cluster takes a connection of its own.
    """
    report = getattr(driver, "_stats", None) or {}
    return reported_array(report) or str(driver._get_fsid())


def _copies_in_flexgroups(driver: Any) -> bool:
    """Return whether an ONTAP NFS driver may have to copy files itself."""
    library = getattr(driver, "ssc_library", None)
    if library is None:
        return True  # it is not set up yet
    return bool(
        library.contains_flexgroup_pool()
        and not driver._is_flexgroup_clone_file_supported()
    )


def _finds_images(driver: Any) -> bool:
    """Return whether ``clone_image`` looks for images by itself."""
    if is_rbd(driver):
        return False
    kind = definer(driver, "clone_image", after=_MIXIN)
    if kind is None or kind in NO_IMAGES or kind.startswith(_BASES):
        return False
    options = OWN_IMAGES.get(kind, ())
    return all(_option(driver, name) for name in options)


def _option(driver: Any, name: str) -> Any:
    """Read a backend's option; a driver without configuration has none."""
    found = getattr(driver, "configuration", None)
    return None if found is None else found.safe_get(name)


def is_rbd(driver: object) -> bool:
    """Return whether it is Cinder's RBD driver."""
    return is_a(driver, "cinder.volume.drivers.rbd", "RBDDriver")


def is_a(driver: object, module: str, name: str) -> bool:
    """Look for a class by name: importing a driver needs its packages."""
    return any(
        (kind.__module__, kind.__name__) == (module, name)
        for kind in type(driver).__mro__
    )
