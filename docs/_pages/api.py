"""The pages of the public modules, which autodoc fills at build time."""

from __future__ import annotations

from collections.abc import Iterator

MODULES = {
    "clonepolicy": "records, deciding, explaining, executing",
    "clonepolicy.policy": "rules, tables and policies",
    "clonepolicy.plan": "plans: attempts and steps",
    "clonepolicy.ports": "what an adapter implements",
    "clonepolicy.scenarios": "small requests that make each rule fail",
    "clonepolicy.wire": "requests, decisions and plans as JSON",
    "clonepolicy.schema": "JSON Schema of that JSON",
    "clonepolicy.adapters.memory": "a cloud in memory, for tests",
    "clonepolicy.adapters.local": "a cloud in a directory",
    "clonepolicy.adapters.reflink": "an array of files",
    "clonepolicy.adapters.qcow2": "an array of qcow2 files",
    "clonepolicy.adapters.rbd": "an array of Ceph images",
    "clonepolicy.adapters.glance": "Glance as an image service",
    "clonepolicy.adapters.cinder": "Cinder's objects, drivers and managers",
    "clonepolicy.adapters.records": "records from API bodies and rows",
    "clonepolicy.testing.strategies": "hypothesis strategies",
    "clonepolicy.testing.faults": "ports that fail on purpose",
    "clonepolicy.testing.machine": "random histories of the executor",
    "clonepolicy.testing.array_machine": "random histories of two arrays",
    "clonepolicy.testing.memory": "a harness for the array in memory",
    "clonepolicy.testing.conformance": "the conformance kit",
}
"""Each public module, and what is in it."""


def index() -> Iterator[str]:
    """List the public modules."""
    yield "# Python API"
    yield (
        "All public names, from the docstrings. Each name has one import "
        "path. Modules and packages that are not listed here are private."
    )
    yield "\n".join(
        f"- [](api/{module}.md): {content}"
        for module, content in MODULES.items()
    )
    pages = "\n".join(f"api/{module}" for module in MODULES)
    yield f"```{{toctree}}\n:hidden:\n\n{pages}\n```"


def module_page(module: str) -> Iterator[str]:
    """Write the page of one module."""
    yield f"# `{module}`"
    yield f"```{{eval-rst}}\n.. automodule:: {module}\n```"
