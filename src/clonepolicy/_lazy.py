"""Import the modules of a package when their names are first used."""

from __future__ import annotations

import sys

# importing ``typing`` takes longer than everything that this file imports
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def on_first_use(
    package: str, *modules: str
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    A name of ``__all__`` is looked for in ``modules``, in this order.  Name
    each module after those that it imports: then using a name imports only
    what its own module needs.
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
        # Python would only say that the package does not have the name
        message = f"{module}: AttributeError: {error}"
        raise ImportError(message) from error
    return vars(sys.modules[module])
