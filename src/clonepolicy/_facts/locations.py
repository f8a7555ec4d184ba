"""Image locations, parsed by one strict grammar.

A canonical URL is one that glance_store writes (glance_store 5.7.0
``_drivers/cinder/store.py``, ``_drivers/rbd.py``, ``filesystem.py``), and
``str(parse_location(url)) == url``.  Any other text is kept without user,
key and query, so that no record holds them: only Glance needs them.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import attrs

from clonepolicy._text import MASK, masked_url

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_VOLUME_ID = re.compile(_UUID)
_CINDER = re.compile(rf"cinder://(?:([A-Za-z0-9._~-]++)/)?({_UUID})")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):.+", re.DOTALL)
_FILE = re.compile(r"file://((?:/[^/?#\x00-\x1f\x7f]+)+)")
_RBD_PARTS = 4


@attrs.frozen
class CinderLocation:
    """``cinder://[store/]volume_id``: the image's data is a volume."""

    volume_id: str
    store: str | None = None

    def __str__(self) -> str:
        """Return the URL as glance_store writes it."""
        store = "" if self.store is None else f"{self.store}/"
        return f"cinder://{store}{self.volume_id}"


@attrs.frozen
class RbdLocation:
    """``rbd://fsid/pool/image/snapshot``: a snapshot in a Ceph cluster."""

    fsid: str
    pool: str
    image: str
    snapshot: str

    def __str__(self) -> str:
        """Return the URL as glance_store writes it, each part quoted."""
        from urllib.parse import quote

        parts = (self.fsid, self.pool, self.image, self.snapshot)
        # a part that is no valid text is quoted, too, and never fails
        quoted = (quote(part, "", errors="surrogatepass") for part in parts)
        return "rbd://" + "/".join(quoted)


@attrs.frozen
class FileLocation:
    """``file:///path``: a file, which an array may have access to."""

    path: str

    def __str__(self) -> str:
        """Return the URL as glance_store writes it."""
        return f"file://{self.path}"


def without_key(url: str) -> str:
    """Mask user, key and query; Cinder reads the same volume id from it.

    What is no text is returned as it is: records refuse it.
    """
    if type(url) is not str or (made := masked_url(url)) == url:
        return url
    volume_id = _read_by_cinder(url)
    if volume_id == _read_by_cinder(made):
        return made
    scheme = made.partition(":")[0]
    return f"{scheme}:{MASK}" + (f"/{volume_id}" if volume_id else "")


@attrs.frozen
class OtherLocation:
    """A URL of a scheme that no array clones from (http, swift, s3, …)."""

    url: str = attrs.field(converter=without_key)
    """User, key and query are masked."""

    def __str__(self) -> str:
        """Return the URL, masked."""
        return self.url


@attrs.frozen
class MalformedLocation:
    """A text that is not a canonical URL, and why."""

    url: str = attrs.field(converter=without_key)
    """User, key and query are masked."""
    why: str

    def __str__(self) -> str:
        """Return the text, masked."""
        return self.url


Location: TypeAlias = (
    CinderLocation
    | RbdLocation
    | FileLocation
    | OtherLocation
    | MalformedLocation
)


def parse_location(url: str) -> Location:
    """Parse any text; return a `MalformedLocation` if it is not canonical."""
    if found := _CINDER.fullmatch(url):
        return CinderLocation(found[2], found[1])
    if not (found := _SCHEME.fullmatch(url)):
        return MalformedLocation(url, "expected scheme:… in lower case")
    match found[1]:
        case "cinder":
            return MalformedLocation(
                url,
                "expected cinder://[store/]volume-id with a lower-case, "
                "hyphenated UUID",
            )
        case "rbd":
            return _parse_rbd(url)
        case "file":
            return _parse_file(url)
        case _:
            return OtherLocation(url)


def _parse_rbd(url: str) -> RbdLocation | MalformedLocation:
    from urllib.parse import unquote

    parts = [unquote(part) for part in url.removeprefix("rbd://").split("/")]
    if len(parts) == _RBD_PARTS and all(parts) and url.isascii():
        location = RbdLocation(*parts)
        if str(location) == url:
            return location
    return MalformedLocation(
        url, "expected rbd://fsid/pool/image/snapshot, percent-encoded"
    )


def _parse_file(url: str) -> FileLocation | MalformedLocation:
    found = _FILE.fullmatch(url)
    if found and not {".", ".."}.intersection(found[1].split("/")):
        return FileLocation(found[1])
    return MalformedLocation(
        url, "expected file:///path without . or .. or query"
    )


def concerns_volumes(location: Location) -> bool:
    """Return whether the scheme is ``cinder``, even if malformed."""
    return isinstance(location, CinderLocation) or (
        isinstance(location, MalformedLocation)
        and location.url.lstrip().lower().startswith("cinder:")
    )


def cinder_volume_id(location: Location) -> str | None:
    """Return the volume id that Cinder 29 reads from a location, if any.

    Cinder accepts more than glance_store writes: the scheme in any case, a
    query, a fragment, and several path segments, of which it takes the last
    (cinder 29.0.0 ``CreateVolumeFromSpecTask._extract_cinder_ids``).
    """
    if isinstance(location, CinderLocation):
        return location.volume_id
    return _read_by_cinder(str(location))


def _read_by_cinder(url: str) -> str | None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    last = parts.path.split("/")[-1] if parts.path else parts.netloc
    if parts.scheme == "cinder" and _VOLUME_ID.fullmatch(last):
        return last
    return None
