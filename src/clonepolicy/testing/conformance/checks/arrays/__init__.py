"""The checks of arrays, one module for each subject."""

from importlib import import_module

from clonepolicy.testing.conformance.checks.arrays._suite import ARRAYS

__all__ = ["ARRAYS"]

for _subject in (
    *("capabilities", "storing", "isolation", "extending", "cloning"),
    *("sources", "images", "concurrency", "limits", "kills", "sharing"),
):
    # in the order in which their checks run
    import_module(f"{__name__}.{_subject}")
