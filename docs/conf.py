"""How Sphinx makes the pages."""

project = "clonepolicy"
author = "The clonepolicy authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "clonepolicy"
