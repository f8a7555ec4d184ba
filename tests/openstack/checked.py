"""The check of the installed Cinder, before a test replaces a part of it.

What it finds is kept for the whole process.
"""

from __future__ import annotations

import contextlib

from cinder import objects

objects.register_all()  # before the modules that name its classes

from clonepolicy.adapters.cinder import IncompatibleCinderError  # noqa: E402 - the same
from clonepolicy.adapters.cinder._drop_in.supported_cinder import (  # noqa: E402 - the same
    check_cinder,
)

# a Cinder that is patched on purpose is tested all the same
with contextlib.suppress(IncompatibleCinderError):
    check_cinder(allow_unverified=False)
