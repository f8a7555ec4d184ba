"""The files' layer: errors, sharing data and copying it."""

import errno
import fcntl
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters._files.paths import passthrough
from clonepolicy.adapters.local._catalogue import translate_errors
from local_support import MIB, content, raising, write_source


def sqlite_error(code: int) -> sqlite3.Error:
    """Return an error of SQLite."""
    error = sqlite3.DatabaseError("reason")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (sqlite3.IntegrityError("k"), ConflictError, "forbids"),
        (sqlite3.OperationalError("locked"), UnavailableError, "try again"),
        (OSError(errno.ENOENT, ""), NotFoundError, "does not exist"),
        (OSError(errno.EEXIST, ""), ConflictError, "already"),
        (OSError(errno.ENOSPC, ""), UnavailableError, "no space left"),
        (OSError(errno.EFBIG, ""), UnavailableError, "a file that large"),
        (OSError(errno.EACCES, "no"), ForbiddenError, "who may read"),
        (OSError(errno.EROFS, "ro"), UnavailableError, "mount"),
        (OSError(errno.EIO, "I/O"), UnavailableError, "I/O"),
        (sqlite_error(sqlite3.SQLITE_NOTADB), UnavailableError, "restore"),
        (
            sqlite_error(sqlite3.SQLITE_CORRUPT_INDEX),
            UnavailableError,
            "restore",
        ),
        (sqlite_error(sqlite3.SQLITE_FULL), UnavailableError, "no space left"),
        (
            sqlite_error(sqlite3.SQLITE_READONLY),
            UnavailableError,
            "who may read",
        ),
    ],
)
def test_only_adapter_errors_come_out(
    error: Exception, kind: type[AdapterError], why: str
) -> None:
    """The message names the action and the remedy."""
    with (
        pytest.raises(kind, match=f"^filling: .*{why}"),
        translate_errors("filling"),
    ):
        raise error


@pytest.mark.parametrize("error", [OSError(5, "x"), "\udcff"])
def test_errors_of_a_callers_data_pass_untranslated(
    error: OSError | str,
) -> None:
    """Only the errors of the adapter itself are translated."""

    def data() -> Iterator[bytes]:
        if isinstance(error, OSError):
            raise error
        yield error.encode()

    with (
        pytest.raises((OSError, UnicodeEncodeError)),
        translate_errors("filling"),
    ):
        list(passthrough(data()))


def test_sharing_data_fails_as_unsupported_or_as_an_os_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only files that cannot share data raise `UnsupportedError`."""
    one, two = paths.create(tmp_path / "1"), paths.create(tmp_path / "2")
    monkeypatch.setattr(fcntl, "ioctl", raising(errno.EXDEV))
    with pytest.raises(UnsupportedError, match="one file system"):
        sparse.reflink(one, two)
    assert not sparse.can_reflink(tmp_path)
    assert sparse.file_system_id(tmp_path).startswith("dev-")
    monkeypatch.setattr(fcntl, "ioctl", raising(errno.EIO))
    for ask in (
        lambda: sparse.reflink(one, two),
        lambda: sparse.can_reflink(tmp_path),
    ):
        with pytest.raises(OSError, match="injected"):
            ask()
    os.close(one)
    os.close(two)


def test_copying_falls_back_to_reading_and_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without copy_file_range, data is copied; a shorter source fails."""
    source = write_source(tmp_path / "s")
    old = paths.open_read(source)
    new = paths.create(tmp_path / "t")
    monkeypatch.setattr(os, "copy_file_range", raising(errno.EXDEV))
    sparse.copy(old, new)
    assert content(source) == content(tmp_path / "t")
    assert (tmp_path / "t").stat().st_size == 3 * MIB
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 0)
    with pytest.raises(IntegrityError, match="shorter"):
        sparse.copy(old, new)
    monkeypatch.setattr(os, "copy_file_range", raising(errno.EIO))
    with pytest.raises(OSError, match="injected"):
        sparse.copy(old, new)
    source.write_bytes(b"x" * 3 * MIB)
    pieces = sparse.stream(old, 3 * MIB)
    next(pieces)
    os.truncate(source, MIB)
    assert list(pieces) == []
    monkeypatch.setattr(os, "lseek", raising(errno.EIO))
    with pytest.raises(OSError, match="injected"):
        list(sparse.stream(old, 3 * MIB))
    os.close(old)
    os.close(new)
