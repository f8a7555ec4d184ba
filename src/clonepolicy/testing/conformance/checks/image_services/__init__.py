"""The checks of image services, one module for each subject."""

from importlib import import_module

from clonepolicy.testing.conformance.checks.image_services._suite import IMAGES

__all__ = ["IMAGES"]

for _subject in ("images", "locations"):
    # in the order in which their checks run
    import_module(f"{__name__}.{_subject}")
