"""A kit that certifies adapters: rows of promises, measured one by one."""

from clonepolicy.testing.conformance._bench import ArrayBench

__all__ = ["ArrayBench"]
