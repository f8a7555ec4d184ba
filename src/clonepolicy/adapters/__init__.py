"""What carries plans out: one adapter to a module or package."""
