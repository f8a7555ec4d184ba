"""Adapters with one defect each, which the conformance kit must find."""

from importlib import import_module

from broken_adapters._registry import BROKEN_ADAPTERS, BrokenAdapter

__all__ = ["BROKEN_ADAPTERS", "BrokenAdapter"]

for _subject in (
    *("arrays_storing", "arrays_cloning", "arrays_kills", "arrays_sharing"),
    *("image_services", "image_locations"),
    *("volume_services", "volume_lifecycle"),
):
    # in the order in which the generated page lists them
    import_module(f"{__name__}.{_subject}")
