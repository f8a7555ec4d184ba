"""The shipped adapters, one module or package each."""
