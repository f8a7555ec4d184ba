"""Policies of an operator, which the tests name by their dotted paths."""

from clonepolicy import (
    CreateRequest,
    CreateTables,
    Lane,
    Mechanism,
    Policy,
    Reason,
    Source,
    UploadRequest,
    UploadTables,
    rule,
)


@rule(
    Reason.SIZE_INVALID,
    reads=("volume.size",),
    sources=(Source("here", "nowhere"),),
)
def defective(_request: CreateRequest) -> bool:
    """Raise an error in every create."""
    raise KeyError


@rule(
    Reason.VOLUME_NOT_UPLOADABLE,
    reads=("volume.status",),
    sources=(Source("here", "nowhere"),),
)
def defective_upload(_request: UploadRequest) -> bool:
    """Raise an error in every upload."""
    raise KeyError


BROKEN = Policy(
    name="BROKEN",
    version=1,
    create=CreateTables(refuse=(defective,), lanes=()),
    upload=UploadTables(register=()),
)
BROKEN_UPLOAD = Policy(
    name="BROKEN",
    version=1,
    create=CreateTables(lanes=()),
    upload=UploadTables(register=(defective_upload,)),
)
PERMISSIVE = Policy(
    name="PERMISSIVE",
    version=1,
    create=CreateTables(
        lanes=(Lane(mechanism=Mechanism.IMAGE_VOLUME, gates=(), rules=()),)
    ),
    upload=UploadTables(register=()),
)
