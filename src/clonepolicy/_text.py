"""Escape and mask text from outside, so that showing it does no harm.

Tenants write locations, names, metadata and ids.  These may contain line
breaks, control sequences for terminals, and marks that change the direction
of writing.  Locations of Glance's stores may contain user and key, or a
signature in the query.
"""

from __future__ import annotations

import re

_LONGEST = 256
MASK = "***"

_ONE_URL = re.compile(
    r"(?P<scheme>(?:[^:/?@]*+(?::(?://)?|//))?)(?P<rest>.*)", re.DOTALL
)
_IN_TEXT = re.compile(
    # the schemes of stores whose users and keys Glance also finds without //
    r"""(?P<scheme>(?P<quote>["'])?(?:[\w+.-]{0,20}://"""
    r"""|\b(?:swift|s3|https?)(?:\+https?)?:))"""
    r"""(?P<rest>(?(quote)(?:\\.|(?!(?P=quote)).)*+|[^ ]*+))""",
    re.DOTALL | re.IGNORECASE,
)


def masked_url(url: str) -> str:
    """Mask user, key and query of a text that is one URL.

    User and key are all up to the last ``@``, whatever stands there.  If a
    ``?`` stands before it, either may be part of a key: all is masked.
    Masking again changes nothing.
    """
    return _ONE_URL.sub(_mask, url, 1)


def masked(text: str) -> str:
    """Mask user, key and query of every URL in a text.

    A URL ends at a blank or, if it stands in quotes, where the quotes end.
    """
    return _IN_TEXT.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    scheme, rest = found["scheme"], found["rest"]
    at = rest.rfind("@")
    if rest.startswith("/") and scheme.lower().endswith(("file:", "file://")):
        at = -1  # a path has no user
    if 0 <= rest.find("?") < at:
        return f"{scheme}{MASK}"
    told = rest if at < 0 else f"{MASK}{rest[at:]}"
    place, mark, query = told.partition("?")
    return f"{scheme}{place}{mark}{query and MASK}"


def printable(text: str) -> str:
    """Escape every character that is not printable, and mask URLs.

    Line breaks are escaped, too.
    """
    if not text.isprintable():
        text = "".join(
            letter
            if letter.isprintable()
            else letter.encode("unicode_escape").decode("ascii")
            for letter in text
        )
    return masked(text)


def printable_lines(text: str) -> str:
    """Escape as `printable` does, except for the line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def shown(text: str, longest: int = _LONGEST) -> str:
    """Escape as `printable` does, and cut the text to ``longest``."""
    # masked first: a URL that is cut may have lost the end of its key
    escaped = printable(text)
    if len(escaped) <= longest:
        return escaped
    return f"{escaped[:longest]}…"


def log_fields(fields: dict[str, str]) -> str:
    """Write one line of ``key=value`` pairs, quoted as in logfmt.

    A value that is empty or has a blank, ``=``, a quote, a backslash or a
    character that is not printable is written as a JSON string, so that a
    reader gets back exactly the values, but for what `masked` masks.
    """
    return " ".join(
        f"{key}={_quoted(masked(text))}" for key, text in fields.items()
    )


def _quoted(text: str) -> str:
    if text and text.isprintable() and not _SPECIAL.intersection(text):
        return text
    escaped = (_in_quotes(letter) for letter in text)
    return f'"{"".join(escaped)}"'


_SPECIAL = frozenset(' ="\\')


def _in_quotes(letter: str) -> str:
    if letter in {'"', "\\"}:
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    utf16 = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(
        f"\\u{utf16[at : at + 4]}" for at in range(0, len(utf16), 4)
    )
