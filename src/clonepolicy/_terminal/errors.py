"""Errors as one line (or one JSON line), and exit codes."""

from __future__ import annotations

import errno
import json
from enum import IntEnum

import attrs
import click

from clonepolicy import (
    AdapterError,
    CloneLimitError,
    ConflictError,
    FactError,
    ForbiddenError,
    NotFoundError,
    QuotaError,
    StaleError,
)


class Exit(IntEnum):
    """What the program exits with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    INTERRUPTED = 130


@attrs.frozen
class CliError(Exception):
    """What is wrong and what to do about it; ends the program."""

    code: Exit
    message: str
    remedy: str


def printable(text: str) -> str:
    """Show control characters and lone surrogates as escapes."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def to_cli_error(error: Exception) -> CliError:
    """Say what can be done about an expected error.

    Raises:
        Exception: the error itself, where it is a defect.
    """
    match error:
        case CliError():
            return error
        case click.UsageError(ctx=context):
            path = "clonepolicy" if context is None else context.command_path
            message = error.format_message().rstrip(".")
            return CliError(Exit.USAGE, message, f"see {path} --help")
        case FactError():
            return CliError(Exit.USAGE, str(error), "")
        case AdapterError():
            return _of_adapter(error)
        case OSError():
            return _of_system(error)
        case _:
            raise error


def _of_adapter(error: AdapterError) -> CliError:
    match error:
        case NotFoundError():
            code = Exit.NOT_FOUND
        case ForbiddenError():
            code = Exit.REFUSED
        case ConflictError() | StaleError() | QuotaError() | CloneLimitError():
            code = Exit.CONFLICT
        case _:
            code = Exit.FAILED
    # what can be done about it stands in the message already
    return CliError(code, str(error) or type(error).__name__, "")


_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "take a directory that can be written",
    errno.ENOENT: "check the path",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a directory",
}


def _of_system(error: OSError) -> CliError:
    what = error.strerror or str(error) or type(error).__name__
    where = "" if error.filename is None else f"{error.filename}: "
    code = Exit.USAGE
    if error.errno in {None, errno.ENOSPC, errno.EDQUOT, errno.EIO}:
        code = Exit.FAILED
    remedy = _REMEDIES.get(error.errno or 0, "")
    return CliError(code, f"{where}{what}", remedy)


def line(problem: CliError, *, as_json: bool) -> str:
    """Write an error as one line."""
    if as_json:
        told = {
            "code": int(problem.code),
            "kind": problem.code.name.lower().replace("_", "-"),
            "message": problem.message,
            "remedy": problem.remedy or None,
        }
        return json.dumps({"error": told})
    parts = [part for part in (problem.message, problem.remedy) if part]
    return printable("error: " + " ".join("; ".join(parts).split()))
