"""A policy of an operator's own, named by its dotted path."""

from clonepolicy import CreateTables, Lane, Mechanism, Policy, UploadTables

CAREFREE = Policy(
    name="CAREFREE",
    version=1,
    create=CreateTables(
        lanes=(Lane(mechanism=Mechanism.IMAGE_VOLUME, gates=(), rules=()),)
    ),
    upload=UploadTables(register=()),
)
