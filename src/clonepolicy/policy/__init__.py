"""What a policy is made of: reasons, rules, tables.

Build a policy of your own from a shipped one with `attrs.evolve`, and a
rule with the decorator `rule`.
"""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use

if TYPE_CHECKING:
    from clonepolicy.policy._change import Values, changed
    from clonepolicy.policy._cure import Cost, Cure, Responsible, always
    from clonepolicy.policy._order import (
        Order,
        last_used_first,
        nearest_first,
        newest_first,
    )
    from clonepolicy.policy._reason import Subject
    from clonepolicy.policy._rule import (
        Citation,
        CreateRule,
        Rule,
        SourceRule,
        UploadRule,
        advisory,
        cinder,
        glance,
        rule,
        spec,
    )
    from clonepolicy.policy._tables import (
        CANDIDATE_FIELDS,
        CloneTable,
        CreateTables,
        Policy,
        UploadTables,
    )
else:
    __getattr__, __dir__ = on_first_use(
        __name__, "_cure", "_change", "_reason", "_rule", "_order", "_tables"
    )

__all__ = [
    "CANDIDATE_FIELDS",
    "Citation",
    "CloneTable",
    "Cost",
    "CreateRule",
    "CreateTables",
    "Cure",
    "Order",
    "Policy",
    "Responsible",
    "Rule",
    "SourceRule",
    "Subject",
    "UploadRule",
    "UploadTables",
    "Values",
    "advisory",
    "always",
    "changed",
    "cinder",
    "glance",
    "last_used_first",
    "nearest_first",
    "newest_first",
    "rule",
    "spec",
]
