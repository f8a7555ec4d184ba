"""How Sphinx makes the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "clonepolicy"
author = "The clonepolicy authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "clonepolicy"
default_role = "py:obj"
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "show-inheritance": True,
}
autodoc_member_order = "bysource"
autodoc_mock_imports = [
    "cinder",
    "eventlet",
    "glanceclient",
    "oslo_db",
    "oslo_log",
    "sqlalchemy",
    "taskflow",
    "tenacity",
]
"""What adapters need and these pages do not: only names are read."""
NAPOLEON: Any = Config(napoleon_use_ivar=True)
"""Attributes as fields: autodoc documents them with a directive, too."""
nitpick_ignore_regex = [
    # single backquotes are for code too, which is not always a name
    ("py:obj", ".*"),
    # names of other projects: linking them takes network
    ("py:.*", r"(?!clonepolicy\.).*"),
    # bases and type variables that are not public
    ("py:class", r"clonepolicy\.(.*\.)?(_.*|[A-Z])"),
]


def link_where_documented(
    app: Sphinx,
    env: BuildEnvironment,
    node: Any,  # noqa: ANN401 - docutils has no types
    text: Any,  # noqa: ANN401 - the same
) -> Any:  # noqa: ANN401 - the same
    """Link a name to its public module; types name the defining module."""
    target: str = node["reftarget"]
    ours = target.startswith("clonepolicy.") or "." not in target
    if node["refdomain"] != "py" or not ours:
        return None
    objects = env.domains.python_domain.objects
    parts = target.split(".")
    matches = [known for known in objects if known.endswith(f".{parts[-1]}")]
    if not matches:
        return None
    best = max(matches, key=lambda known: len({*known.split(".")} & {*parts}))
    page, anchor, _, _ = objects[best]
    return make_refnode(app.builder, node["refdoc"], page, anchor, text, best)


def read_sections(
    _app: Sphinx,
    what: str,
    _name: str,
    _documented: object,
    _options: object,
    lines: list[str],
) -> None:
    """Read "Args:" and "Raises:", which docstrings of attributes lack.

    As an extension, napoleon reads a colon in these as the end of a type.
    """
    if what not in {"attribute", "data", "property"}:
        lines[:] = GoogleDocstring(lines, NAPOLEON).lines()


def shorten_defaults(
    _app: Sphinx,
    _what: str,
    _name: str,
    _documented: object,
    _options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Write defaults as Python does: Sphinx cannot read their repr."""
    if signature is not None:
        signature = re.sub(r"<function (\w+)>", r"\1", signature)
        signature = signature.replace("= NOTHING", "= ...")
    return signature, returned


def setup(app: Sphinx) -> None:
    """Connect the handlers above."""
    app.connect("missing-reference", link_where_documented)
    app.connect("autodoc-process-docstring", read_sections)
    app.connect("autodoc-process-signature", shorten_defaults)
