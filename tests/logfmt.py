"""A reader of log lines of ``key=value`` pairs, as logfmt has them."""

from __future__ import annotations

import json
import re

_FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "=\\]+)(?: |\Z)')


def parsed(line: str) -> dict[str, str]:
    """Read a line; a value in quotes is a JSON string."""
    fields, at = {}, 0
    while at < len(line):
        found = _FIELD.match(line, at)
        assert found, line[at:]
        key, text = found.groups()
        fields[key] = json.loads(text) if text.startswith('"') else text
        at = found.end()
    return fields
