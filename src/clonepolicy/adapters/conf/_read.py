"""Read files as oslo.config does, and keep the line of each option."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
from oslo_config import cfg, types
from typing_extensions import override

from clonepolicy import FactError
from clonepolicy._text import masked
from clonepolicy.adapters.conf._options import (
    BACKEND,
    DEFAULT,
    STORE,
    Kind,
    Option,
)

_TYPES = {
    Kind.BOOL: types.Boolean,
    Kind.INT: types.Integer,
    Kind.LIST: types.List,
    Kind.DICT: types.Dict,
}
_BACKEND_DEFAULTS = "backend_defaults"
_HIDDEN = "***"

Read: TypeAlias = bool | int | str | tuple[str, ...] | dict[str, str] | None
"""What a text is read as."""


@attrs.frozen
class Assignment:
    """One ``name = text`` in a file."""

    group: str
    name: str
    text: str
    file: str
    line: int


@attrs.frozen
class Value:
    """The value in force of an option, and where it comes from."""

    option: Option
    group: str
    """The group that asks for it."""
    value: Read
    assignment: Assignment | None
    """Where it is set; None: it is the default."""

    @property
    def origin(self) -> str:
        """The group that sets it, in brackets, or ``default``."""
        found = self.assignment
        return "default" if found is None else f"[{found.group}]"

    @property
    def shown(self) -> str:
        """The value as a file has it; passwords and keys are hidden."""
        if self.option.secret and self.value is not None:
            return _HIDDEN
        return masked(self._text)

    @property
    def _text(self) -> str:
        match self.value:
            case None | "" | ():
                return "not set"
            case tuple():
                return ",".join(self.value)
            case dict():
                return ",".join(f"{k}:{v}" for k, v in self.value.items())
            case _:
                return str(self.value)


class _Parser(cfg.ConfigParser):  # type: ignore[misc]  # has no types
    """Keeps the first line of each assignment.

    oslo.config reports an assignment when it reads the line behind it.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, {})
        self.found: list[Assignment] = []
        self._first = 0

    @override
    def _split_key_value(self, line: str) -> tuple[str, list[str]]:
        self._first = self.lineno
        split: tuple[str, list[str]] = super()._split_key_value(line)
        return split

    @override
    def assignment(self, key: str, value: list[str]) -> None:
        super().assignment(key, value)
        assert self.section is not None  # noqa: S101 - it would have raised
        text = "\n".join(value)
        self.found.append(
            Assignment(self.section, key, text, self.filename, self._first)
        )


def files_of(path: str | os.PathLike[str], name: str) -> tuple[str, ...]:
    """Return the files that a service reads, later ones override.

    Args:
        path: a file, or the folder in which the file ``name`` is.
        name: ``cinder.conf`` or ``glance-api.conf``.

    Next to a file there may be a folder of the same name with ``.d`` at its
    end, whose files are read after it.

    Raises:
        FactError: there is no such file.
    """
    file = Path(path)
    if file.is_dir():
        file /= name
    if not file.is_file():
        raise FactError("path", str(file), "a file that can be read")
    more = file.with_name(f"{file.name}.d").glob("*.conf")
    return (str(file), *map(str, sorted(more)))


class ConfFiles:
    """The files of one service on one host."""

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        options: Iterable[Option],
    ) -> None:
        """Read the files; a later one overrides an earlier one.

        Raises:
            FactError: a file cannot be read.
        """
        self.paths = tuple(os.fspath(path) for path in paths)
        self._conf = cfg.ConfigOpts()
        self._registered: set[tuple[str, str]] = set()
        self._options = {(row.group, row.name): row for row in options}
        self._by_file: list[list[Assignment]] = []
        for row in self._options.values():
            if row.group == DEFAULT:
                # texts of other options refer to them
                self._register(row, DEFAULT, row.name)
        try:
            self._conf(
                [],
                default_config_files=[*self.paths],
                default_config_dirs=[],
                use_env=False,
            )
            for path in self.paths:
                parser = _Parser(path)
                parser.parse()
                self._by_file.append(parser.found)
        except (OSError, UnicodeError, cfg.Error) as error:
            expected = f"files that can be read ({error})"
            raise FactError("paths", [*self.paths], expected) from error

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """Every assignment, in the order in which they are read."""
        return tuple(row for file in self._by_file for row in file)

    def groups(self) -> frozenset[str]:
        """Return the groups in which anything is set."""
        return frozenset(row.group for row in self.assignments)

    def option(self, name: str, group: str) -> Option:
        """Return an option by its name and its group in the table."""
        return self._options[group, name]

    def value(self, name: str, group: str = DEFAULT) -> Value:
        """Return the value in force of an option.

        Args:
            name: the name of an option in the table.
            group: the group that asks: ``DEFAULT``, another fixed one, or
                the name of a backend or of a store.

        Raises:
            FactError: its text is invalid.
        """
        option = (
            self._options.get((group, name))
            or self._options.get((BACKEND, name))
            or self._options[STORE, name]
        )
        groups = [group]
        if option.group == BACKEND and option.inherits:
            groups.append(_BACKEND_DEFAULTS)
        found = next(
            filter(None, (self._last(each, option) for each in groups)), None
        )
        return Value(option, group, self._read(option, group, found), found)

    def set_in(self, name: str, group: str) -> Value | None:
        """Return what a group itself sets, even if nothing reads it there.

        Args:
            name: the name of an option in the table.
            group: the group; its option need not be there.

        Raises:
            FactError: its text is invalid.
        """
        option = self._options[BACKEND, name]
        found = self._last(group, option)
        if found is None:
            return None
        return Value(option, group, self._read(option, group, found), found)

    def _last(self, group: str, option: Option) -> Assignment | None:
        names = ((group, option.name), *option.old_names)
        for rows in reversed(self._by_file):
            for of_group, name in names:
                for row in reversed(rows):
                    if row.name == name and _same(row.group, of_group):
                        return row
        return None

    def _read(
        self, option: Option, group: str, found: Assignment | None
    ) -> Read:
        """Read a text as oslo.config does, substitutions included."""
        name = option.name if found is None else found.name
        if found is not None:
            group = found.group
        self._register(option, group, name)
        try:
            at = self._conf if group == DEFAULT else self._conf[group]
            value = at[name]
        except (cfg.Error, ValueError) as error:
            text = "" if found is None else found.text
            expected = f"a {option.kind} ({error.__context__ or error})"
            raise FactError(_place(found), text, expected) from error
        return tuple(value) if isinstance(value, list) else value

    def _register(self, option: Option, group: str, name: str) -> None:
        if (group, name) in self._registered:
            return
        default = option.default
        if option.kind is Kind.STR:
            read = types.String(choices=option.choices or None)
        else:
            read = _TYPES[option.kind]()
        made = cfg.Opt(
            name,
            type=read,
            default=list(default) if isinstance(default, tuple) else default,
        )
        self._conf.register_opt(made, None if group == DEFAULT else group)
        self._registered.add((group, name))


def _place(found: Assignment | None) -> str:
    if found is None:
        return "default"
    return f"{found.file}:{found.line}: [{found.group}] {found.name}"


def _same(one: str, other: str) -> bool:
    """Compare names of groups as oslo.config does."""
    return one == other or (
        DEFAULT not in {one, other} and one.lower() == other.lower()
    )
