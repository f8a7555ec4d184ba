"""Cinder's own unit tests of the code that the drop-in changes or calls.

The name makes stestr find this module, and pytest not.
"""

from __future__ import annotations

import importlib
import os
import socket
import unittest
from typing import NoReturn

from cinder.tests import unit  # patches threads before all else

_UNIT = unit.__name__
_VOLUME = f"{_UNIT}.volume"
_DRIVERS = f"{_VOLUME}.drivers"

SCOPE = (
    f"{_UNIT}.image.accelerators.test_qat_gzip",
    f"{_UNIT}.image.test_accelerator",
    f"{_UNIT}.image.test_cache",
    f"{_UNIT}.image.test_format_inspector",
    f"{_UNIT}.image.test_glance",
    f"{_UNIT}.test_image_utils",
    f"{_VOLUME}.flows.api.test_create_volume",
    f"{_VOLUME}.flows.test_create_volume_flow",
    f"{_VOLUME}.flows.test_manage_snapshot_flow",
    f"{_VOLUME}.flows.test_manage_volume_flow",
    f"{_VOLUME}.test_driver",
    f"{_VOLUME}.test_image",
    f"{_VOLUME}.test_volume",
    f"{_VOLUME}.test_volume_manager",
    f"{_VOLUME}.test_volume_reimage",
    f"{_DRIVERS}.test_nfs",
    f"{_DRIVERS}.test_rbd",
    f"{_DRIVERS}.netapp.dataontap.test_nfs_base",
    f"{_DRIVERS}.netapp.dataontap.test_nfs_cmode",
)


def load_tests(
    loader: unittest.TestLoader, _tests: object, _pattern: object
) -> unittest.TestSuite:
    """Load the scope; install the drop-in if a policy is set."""
    _cut_network()
    if "OS_CLONEPOLICY__POLICY" in os.environ:
        importlib.import_module("install_drop_in").install()
    return loader.loadTestsFromNames((*SCOPE, "canary"))


def _cut_network() -> None:
    """Make every connection to a server fail at once."""

    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        message = "these tests have no network"
        raise ConnectionRefusedError(message)

    for name in ("getaddrinfo", "create_connection"):
        setattr(socket, name, refuse)
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, refuse)
