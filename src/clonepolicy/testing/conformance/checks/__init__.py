"""The checks that the kit comes with, one module for each subject."""

from importlib import import_module

for _subject in (
    *("array_storing", "array_cloning", "array_images", "array_sharing"),
    *("image_data", "image_locations"),
    *("volumes", "volume_statuses"),
):
    # in the order in which their checks run
    import_module(f"{__name__}.{_subject}")
