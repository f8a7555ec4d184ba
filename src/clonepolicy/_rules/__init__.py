"""Everything that can change a verdict, as documented predicates."""
