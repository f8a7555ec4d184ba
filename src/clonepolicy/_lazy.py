"""Packages that import a module when a name of it is first used."""

from __future__ import annotations

import sys

# the module ``typing`` costs more than all that is imported here
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def on_first_use(
    package: str, *modules: str
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    A name of ``__all__`` is looked for in ``modules``, in this order.  If
    none imports a later one, a name costs what its own module imports.
    """

    def find(name: str) -> object:
        names = vars(sys.modules[package])
        if name in names["__all__"]:
            for module in modules:
                found = _load(f"{package}.{module}")
                if name in found:
                    names[name] = found[name]
                    return found[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        known = vars(sys.modules[package])
        return sorted({*known, *known["__all__"]})

    return find, names


def _load(module: str) -> dict[str, object]:
    try:
        __import__(module)
    except AttributeError as error:
        # Python would take it for a name that the package does not have
        raise ImportError(f"{module}: AttributeError: {error}") from error
    return vars(sys.modules[module])
