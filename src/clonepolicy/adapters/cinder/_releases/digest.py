"""The digest of a function's code, whatever its text looks like."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

_LENGTH = 16
_WITH_DOCSTRING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def digest(function: Callable[..., Any]) -> str:
    """Return the digest of a function's code, its decorators included.

    Comments, docstrings, annotations and layout do not count, and neither
    does the Python that runs.

    Raises:
        OSError: the function has no source code.
    """
    source = inspect.getsource(inspect.unwrap(function))
    # a method is indented
    block = ast.parse(f"if True:\n{source}" if source[0] == " " else source)
    text = repr(_significant(block))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _significant(node: Any) -> Any:
    """Return a tree in plain values, without what does not count."""
    if isinstance(node, list):
        return [_significant(each) for each in node]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        node = ast.Assign(targets=[node.target], value=node.value)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(
        node, clean=False
    ):
        fields["body"] = node.body[1:]
    if isinstance(node, ast.JoinedStr):
        # Python 3.12 ends some of them with an empty text
        fields["values"] = [part for part in node.values if not _empty(part)]
    # no version of Python has the same empty fields as another
    return [
        type(node).__name__,
        *(
            (name, _significant(value))
            for name, value in sorted(fields.items())
            if value is not None
            and value != []
            and name not in {"annotation", "returns", "type_comment"}
        ),
    ]


def _empty(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and part.value == ""
