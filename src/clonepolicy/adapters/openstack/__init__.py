"""A running cloud, read by openstacksdk (extra ``cloud``).

It sends no other request than GET; keystoneauth gets the token.
"""

from clonepolicy.adapters.openstack._cloud import Cloud
from clonepolicy.adapters.openstack._facts import CloudFacts
from clonepolicy.adapters.openstack._gather import (
    Assumed,
    BackendFile,
    Case,
    Gatherer,
    Taken,
)

__all__ = [
    "Assumed",
    "BackendFile",
    "Case",
    "Cloud",
    "CloudFacts",
    "Gatherer",
    "Taken",
]
