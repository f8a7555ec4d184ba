"""The documents; a package so that mypy tells their conftest from others."""
