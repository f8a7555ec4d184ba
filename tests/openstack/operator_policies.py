"""Policies of an operator, which the tests name by their dotted paths."""

from clonepolicy import CreateRequest, Reason, Route, UploadRequest
from clonepolicy.policy import (
    Citation,
    CloneTable,
    CreateTables,
    Policy,
    UploadTables,
    rule,
)


@rule(
    "Raise an error in every create.",
    Reason.SIZE_INVALID,
    reads=("volume.size",),
    citations=(Citation("here", "nowhere"),),
)
def defective(_request: CreateRequest) -> bool:
    """Raise an error in every create."""
    raise KeyError


@rule(
    "Raise an error in every upload.",
    Reason.VOLUME_NOT_UPLOADABLE,
    reads=("volume.status",),
    citations=(Citation("here", "nowhere"),),
)
def defective_upload(_request: UploadRequest) -> bool:
    """Raise an error in every upload."""
    raise KeyError


BROKEN = Policy(
    name="BROKEN",
    version=1,
    create=CreateTables(refuse=(defective,), clone=()),
    upload=UploadTables(register=()),
)
BROKEN_UPLOAD = Policy(
    name="BROKEN",
    version=1,
    create=CreateTables(clone=()),
    upload=UploadTables(register=(defective_upload,)),
)
PERMISSIVE = Policy(
    name="PERMISSIVE",
    version=1,
    create=CreateTables(
        clone=(
            CloneTable(
                route=Route.IMAGE_VOLUME, preconditions=(), source_rules=()
            ),
        )
    ),
    upload=UploadTables(register=()),
)
