"""Time zones that a datetime loses when it is written as JSON and read."""

from __future__ import annotations

import datetime

from typing_extensions import override


class Nowhere(datetime.tzinfo):
    """A zone that knows no offset."""

    def utcoffset(self, _: datetime.datetime | None) -> None:
        """Not known."""

    dst = utcoffset

    def tzname(self, _: datetime.datetime | None) -> None:
        """Not known either."""


class Shifting(datetime.tzinfo):
    """A zone in which a day has two offsets, told apart by ``fold``."""

    def utcoffset(
        self, moment: datetime.datetime | None
    ) -> datetime.timedelta:
        """An hour less the second time."""
        assert moment
        return datetime.timedelta(hours=1 - moment.fold)

    dst = utcoffset

    def tzname(self, _: datetime.datetime | None) -> None:
        """Not known."""


class Region(Shifting):
    """A zone in which no day is longer than others."""

    @override
    def utcoffset(self, _: datetime.datetime | None) -> datetime.timedelta:
        """Two hours."""
        return datetime.timedelta(hours=2)
