"""Become another program, within limits and confined to open files.

`run` starts this file as a script.  Its arguments are the seconds of
processor time, the KiB of memory, file descriptors separated by commas, and
the program with its arguments.  The program can open these files, read
programs and libraries, and nothing else: not even if the data that it reads
names another file.

Landlock does this, in any Linux since 5.13 whose kernel is built with it.  It
needs no privileges.  From its version 4 on, the program cannot use TCP
either.  Where Landlock is missing, only the limits are in force here.  The
program ends when its parent does.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys

EXIT = 125
"""The exit code if the program cannot be confined."""

# from linux/landlock.h and linux/prctl.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_SIGNAL_OF_PARENT, _NO_NEW_PRIVS = 1, 38
_EXECUTE, _WRITE_FILE, _READ_FILE = 1, 2, 4
_TRUNCATE = 1 << 14
_FILE_SYSTEM = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
"""All rights to files, by the version that knows them."""
_NETWORK = 4
"""The version that knows the network."""
_ALL_TCP = 3

SYSTEM = (
    *("/bin", "/lib", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib64"),
    *("/usr/local/bin", "/usr/local/lib", "/etc/ld.so.cache"),
)
"""Where programs and libraries are."""

_libc = ctypes.CDLL(None, use_errno=True)
_call, _prctl = _libc.syscall, _libc.prctl


def landlock() -> int:
    """Return the version of the kernel's Landlock; 0: it has none."""
    return max(0, int(_call(_CREATE_RULESET, None, 0, _VERSION)))


def confine(files: list[int], program: str) -> None:
    """Confine this process to a program and to open files.

    Raises:
        OSError: the kernel has Landlock, and refuses.
    """
    version = landlock()
    if not version:
        return
    rights = _FILE_SYSTEM[min(version, max(_FILE_SYSTEM))]
    known = struct.pack("=QQ", rights, _ALL_TCP)
    size = len(known) if version >= _NETWORK else 8
    rules = _checked(_call(_CREATE_RULESET, known, size, 0))
    for path in (*SYSTEM, program):
        try:
            fd = os.open(path, os.O_PATH)
        except FileNotFoundError:
            continue
        _allow(rules, fd, _EXECUTE | _READ_FILE)
    # on which qemu-img tries whether it can lock files
    null = os.open(os.devnull, os.O_PATH)
    for fd in (null, *files):
        _allow(rules, fd, rights & (_READ_FILE | _WRITE_FILE | _TRUNCATE))
    _checked(_prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_call(_RESTRICT_SELF, rules, 0))


def _allow(rules: int, fd: int, rights: int) -> None:
    rule = struct.pack("=Qi", rights, fd)
    _checked(_call(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def main(seconds: str, memory: str, files: str, *command: str) -> None:
    """Confine this process, and become the command."""
    try:
        _checked(_prctl(_SIGNAL_OF_PARENT, signal.SIGKILL, 0, 0, 0))
        confine([int(fd) for fd in files.split(",") if fd], command[0])
        count, size = int(seconds), int(memory) << 10
        resource.setrlimit(resource.RLIMIT_CPU, (count, count))
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be confined: {error}\n")
        sys.exit(EXIT)


if __name__ == "__main__":
    main(*sys.argv[1:])
