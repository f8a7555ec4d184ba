"""What a check is, and what it may need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Protocol

import attrs

from clonepolicy import AdapterError, Image, Quota, Reason, VolumeType
from clonepolicy.adapters.conf import CinderConf, GlanceConf, Value
from clonepolicy.adapters.records import Pool

PAGE = "how-to/misconfiguration"


class Level(StrEnum):
    """How bad the effect is, the worst first."""

    INSECURE = "insecure"
    """Data can reach somebody who must not have it, or is not verified."""
    BROKEN = "broken"
    """Requests fail, or leave something behind."""
    OFF = "off"
    """Data is copied that could be cloned, or nothing is registered."""
    SLOW = "slow"
    """A clone takes as long as a copy, or is tried in vain."""

    @property
    def rank(self) -> int:
        """Return 0 for the worst."""
        return [*Level].index(self)


class Need(StrEnum):
    """What a check needs, as a report names it."""

    CINDER = "a cinder.conf with enabled_backends"
    HOSTS = "the cinder.conf of each host"
    GLANCE = "glance-api.conf"
    SPACE = "--this-host: the free space of image_conversion_dir"
    ROLES = "--os-cloud: the roles of the [glance] user"
    PROJECTS = "--os-cloud: the id of the project of Glance's store"
    TYPES = "--os-cloud: the volume types"
    POOLS = "--os-cloud: the pools"
    IMAGES = "--os-cloud: the images"
    QUOTAS = "--os-cloud: the quota of the internal tenant"


class CloudView(Protocol):
    """What a running cloud shows; each method may raise `AdapterError`."""

    def service_roles(self) -> frozenset[str]:
        """Return the roles of the ``[glance]`` user of cinder.conf."""
        ...

    def project_id(self, name: str) -> str | None:
        """Return the id of a project; None: there is none of this name."""
        ...

    def volume_types(self) -> tuple[VolumeType, ...]:
        """Return all volume types."""
        ...

    def encrypted_types(self) -> frozenset[str]:
        """Return the ids of the types whose volumes are encrypted."""
        ...

    def pools(self) -> tuple[Pool, ...]:
        """Return all pools."""
        ...

    def images(self) -> tuple[Image, ...]:
        """Return all images."""
        ...

    def quota(self, project_id: str) -> Quota:
        """Return what a project has left."""
        ...


@attrs.frozen(kw_only=True)
class Estate:
    """All that the checks look at: several hosts may have files."""

    cinder: tuple[CinderConf, ...] = ()
    glance: tuple[GlanceConf, ...] = ()
    cloud: CloudView | None = None
    space: Mapping[str, int] | None = None
    """Free bytes by ``image_conversion_dir``; None: not measured."""

    @property
    def volume_hosts(self) -> tuple[CinderConf, ...]:
        """The files in which a backend is enabled."""
        return tuple(conf for conf in self.cinder if conf.backends)

    @property
    def asked(self) -> CloudView:
        """The cloud, for a check that needs one.

        Raises:
            AdapterError: there is none.
        """
        if self.cloud is None:
            raise AdapterError("needs --os-cloud")
        return self.cloud

    def lacks(self, need: Need) -> bool:
        """Return whether something that a check needs is not there."""
        match need:
            case Need.CINDER:
                return not self.volume_hosts
            case Need.HOSTS:
                return len(self.volume_hosts) <= 1
            case Need.GLANCE:
                return not self.glance
            case Need.SPACE:
                return self.space is None
            case _:
                return self.cloud is None


@attrs.frozen
class Spot:
    """One place where a check finds its misconfiguration."""

    value: Value
    """The option that causes it."""
    file: str
    """The file that sets it or, for a default, that could set it."""
    words: Mapping[str, str] = attrs.field(factory=dict)
    """What the message of the check names besides it."""
    related: tuple[Value, ...] = ()
    """The other options that it takes."""


Find = Callable[[Estate], Iterable[Spot]]


@attrs.frozen(kw_only=True)
class Check:
    """One misconfiguration."""

    id: str
    level: Level
    needs: tuple[Need, ...]
    """Without one of these nothing is checked."""
    to_pass: tuple[Need, ...] = ()
    """Without one of these it can be found, but not be ruled out."""
    message: str
    """What happens; ``{option}`` and the words of a spot are filled in."""
    remedy: str
    reasons: tuple[Reason, ...] = ()
    """What a decision about such a request has as its reason or note."""
    section: str
    """The heading in `PAGE` under which it is."""
    find: Find

    @property
    def page(self) -> str:
        """The page, and the heading as an anchor."""
        letters = (c for c in self.section.lower() if c.isalnum() or c in " -")
        return f"{PAGE}.md#{''.join(letters).replace(' ', '-')}"


def spot(
    conf: CinderConf | GlanceConf,
    value: Value,
    *related: Value,
    **words: str,
) -> Spot:
    """Make a spot of an option that a file sets, or could set."""
    at = value.assignment
    return Spot(
        value, conf.paths[0] if at is None else at.file, words, related
    )
