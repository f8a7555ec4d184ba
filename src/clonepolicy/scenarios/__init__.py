"""Scenarios: small requests that show how each rule holds and fails.

`CLONEABLE` has, for each clone route, a request that SAFE clones by it;
`REGISTERABLE` is one that every shipped policy registers.  `AXES` and
`UPLOAD_AXES` have values for each fact that a rule reads: some make the
rule hold, others make it fail.
"""

from clonepolicy.scenarios._axes import AXES, UPLOAD_AXES
from clonepolicy.scenarios._combinations import (
    Combinations,
    combinations,
    holds,
    independent_faults,
    variants,
)
from clonepolicy.scenarios._comparison import (
    Difference,
    Table,
    differences,
    one_fault,
    scenarios_of,
)
from clonepolicy.scenarios._put import candidate_of, with_facts
from clonepolicy.scenarios._requests import (
    ALICE,
    ARRAY,
    BOB,
    CLONEABLE,
    DOWNLOADED,
    HERE,
    IMAGE_ID,
    INTERNAL,
    NEW_ID,
    NOW,
    OTHER_ARRAY,
    OTHER_ID,
    PLAIN,
    REGISTERABLE,
    SOURCE_ID,
    STORE,
    THEN,
)

__all__ = [
    "ALICE",
    "ARRAY",
    "AXES",
    "BOB",
    "CLONEABLE",
    "DOWNLOADED",
    "HERE",
    "IMAGE_ID",
    "INTERNAL",
    "NEW_ID",
    "NOW",
    "OTHER_ARRAY",
    "OTHER_ID",
    "PLAIN",
    "REGISTERABLE",
    "SOURCE_ID",
    "STORE",
    "THEN",
    "UPLOAD_AXES",
    "Combinations",
    "Difference",
    "Table",
    "candidate_of",
    "combinations",
    "differences",
    "holds",
    "independent_faults",
    "one_fault",
    "scenarios_of",
    "variants",
    "with_facts",
]
