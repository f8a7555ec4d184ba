"""Tables and transactions of the installed Cinder, whatever its release."""

from __future__ import annotations

import importlib
from typing import Any

from cinder import objects

from clonepolicy.adapters.cinder._releases import installed_release

objects.register_all()

RELEASE = installed_release()
models: Any = importlib.import_module(RELEASE.models)
transactions: Any = RELEASE.transactions
