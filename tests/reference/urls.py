"""Read locations from their text."""

from __future__ import annotations

import string
from urllib.parse import quote, unquote, urlsplit

HEX = "0123456789abcdef"
STORE_LETTERS = string.ascii_letters + string.digits + "._~-"
SCHEME_LETTERS = string.ascii_lowercase + string.digits + "+.-"
UUID_GROUPS = [8, 4, 4, 4, 12]


def is_uuid(text: str) -> bool:
    """Tell a lower-case, hyphenated UUID from all other text."""
    groups = text.split("-")
    if [len(group) for group in groups] != UUID_GROUPS:
        return False
    return all(letter in HEX for group in groups for letter in group)


def parse(url: str) -> dict[str, str]:
    """Read a URL by the canonical grammar (1.6)."""
    malformed = {"kind": "malformed"}
    scheme, colon, rest = url.partition(":")
    if not colon or not rest or not scheme:
        return malformed
    if scheme[0] not in string.ascii_lowercase:
        return malformed
    if any(letter not in SCHEME_LETTERS for letter in scheme):
        return malformed
    if scheme == "cinder":
        return parse_cinder(rest)
    if scheme == "rbd":
        return parse_rbd(rest)
    if scheme == "file":
        return parse_file(rest)
    return {"kind": "other", "scheme": scheme}


def parse_cinder(rest: str) -> dict[str, str]:
    """Read ``//ID`` or ``//STORE/ID`` (1.6, first two rows)."""
    if not rest.startswith("//"):
        return {"kind": "malformed"}
    parts = rest[2:].split("/")
    if len(parts) == 1 and is_uuid(parts[0]):
        return {"kind": "cinder", "scheme": "cinder", "volume": parts[0]}
    if len(parts) == 2 and is_uuid(parts[1]):
        store = parts[0]
        if store and all(letter in STORE_LETTERS for letter in store):
            return {"kind": "cinder", "scheme": "cinder", "volume": parts[1]}
    return {"kind": "malformed"}


def parse_rbd(rest: str) -> dict[str, str]:
    """Read ``//fsid/pool/image/snapshot``, percent-encoded (1.9, RBD)."""
    if not rest.startswith("//"):
        return {"kind": "malformed"}
    parts = rest[2:].split("/")
    if len(parts) != 4:
        return {"kind": "malformed"}
    for part in parts:
        if part == "" or quote(unquote(part), safe="") != part:
            return {"kind": "malformed"}
    return {
        "kind": "rbd",
        "scheme": "rbd",
        "fsid": unquote(parts[0]),
        "pool": unquote(parts[1]),
        "image": unquote(parts[2]),
        "snapshot": unquote(parts[3]),
    }


def parse_file(rest: str) -> dict[str, str]:
    """Read ``///path`` without dots, query, fragment or control letters."""
    if not rest.startswith("///"):
        return {"kind": "malformed"}
    path = rest[2:]
    for letter in path:
        if letter in "?#" or ord(letter) < 32 or ord(letter) == 127:
            return {"kind": "malformed"}
    for part in path[1:].split("/"):
        if part in {"", ".", ".."}:
            return {"kind": "malformed"}
    return {"kind": "file", "scheme": "file", "path": path}


def lenient_volume_id(url: str) -> str | None:
    """Read a volume id as Cinder does (C4, 1.6 second column)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme != "cinder":
        return None
    last = parts.path.split("/")[-1] if parts.path else parts.netloc
    # 1.6: other spellings of a UUID can equal no stored id
    if not is_uuid(last):
        return None
    return last
