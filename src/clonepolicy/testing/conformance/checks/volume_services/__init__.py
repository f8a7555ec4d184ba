"""The checks of volume services, one module for each subject."""

from importlib import import_module

from clonepolicy.testing.conformance.checks.volume_services._suite import (
    VOLUMES,
)

__all__ = ["VOLUMES"]

for _subject in ("reading", "image_volumes"):
    # in the order in which their checks run
    import_module(f"{__name__}.{_subject}")
