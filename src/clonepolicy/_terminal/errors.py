"""Exit codes, and errors as one line of text or of JSON."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from enum import IntEnum
from typing import Self

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
from clonepolicy._text import masked, printable


class Exit(IntEnum):
    """The exit codes of both programs, with their meanings.

    In the last two cases a signal ends the process, and a shell shows these.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Store the code as the value, and the meaning as an attribute."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "success"
    FAILED = 1, "the operation failed"
    USAGE = 2, "wrong usage, or input that cannot be read"
    REFUSED = 3, "refused by the policy, or not allowed to the project"
    NOT_FOUND = 4, "not found"
    CONFLICT = (
        5,
        "conflict: wrong state, a name that is not unique, or a limit",
    )
    DEPENDS = 6, "it depends on what is not known"
    UNANSWERED = 7, "the cloud does not answer, or forbids it"
    INTERRUPTED = 130, "interrupted; nothing incomplete is left behind"
    UNREAD = 141, "nobody reads the output any more"


def exit_codes(meanings: Iterable[tuple[Exit, str]]) -> str:
    """Format exit codes and their meanings as the end of a help text."""
    lines = (f"  {code:<4} {meaning}" for code, meaning in meanings)
    return "\n\n\b\nExit codes:\n" + "\n".join(lines)


class CliError(Exception):
    """An error that ends the program: what happened, and what to do next."""

    def __init__(self, code: Exit, message: str, remedy: str) -> None:
        """Keep the exit code and both texts."""
        super().__init__(code, message, remedy)
        self.code = code
        self.message = message
        self.remedy = remedy


def to_cli_error(error: Exception) -> CliError:
    """Convert an expected error into an exit code, a message and a remedy.

    Raises:
        Exception: ``error`` itself, if it is a defect and not expected.
    """
    # `Exit` is needed where click is missing
    import click  # noqa: PLC0415

    match error:
        case CliError():
            return error
        case click.UsageError(ctx=context):
            path = "clonepolicy" if context is None else context.command_path
            message = error.format_message().rstrip(".")
            return CliError(Exit.USAGE, message, f"see {path} --help")
        case OSError():
            return _of_system(error)
        case FactError():
            code = Exit.USAGE
        case NotFoundError():
            code = Exit.NOT_FOUND
        case ForbiddenError():
            code = Exit.REFUSED
        case ConflictError() | StaleError() | QuotaError() | CloneLimitError():
            code = Exit.CONFLICT
        case AdapterError():
            code = Exit.FAILED
        case _:
            raise error
    # the message already says what to do next
    return CliError(code, str(error) or type(error).__name__, "")


_REMEDIES = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "use a directory on a writable file system",
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
        fields = {
            "code": int(problem.code),
            "kind": problem.code.name.lower().replace("_", "-"),
            "message": masked(problem.message),
            "remedy": masked(problem.remedy) or None,
        }
        return json.dumps({"error": fields})
    parts = [part for part in (problem.message, problem.remedy) if part]
    return printable("error: " + " ".join("; ".join(parts).split()))
