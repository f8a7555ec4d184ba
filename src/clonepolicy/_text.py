"""Escape text from outside, so that showing it does no harm.

Tenants write locations, names, metadata and ids.  These may contain line
breaks, control sequences for terminals, and marks that change the direction
of writing.
"""

from __future__ import annotations

_LONGEST = 256


def printable(text: str) -> str:
    """Escape every character that is not printable, line breaks included."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def printable_lines(text: str) -> str:
    """Escape as `printable` does, except for the line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def shown(text: str, longest: int = _LONGEST) -> str:
    """Escape as `printable` does, and cut the text to ``longest``."""
    escaped = printable(text[: longest + 1])
    if len(escaped) <= longest:
        return escaped
    return f"{escaped[:longest]}…"


def log_fields(fields: dict[str, str]) -> str:
    """Write one line of ``key=value`` pairs, quoted as in logfmt.

    A value that is empty or has a blank, ``=``, a quote, a backslash or a
    character that is not printable is written as a JSON string, so that a
    reader gets back exactly the values.
    """
    return " ".join(f"{key}={_quoted(text)}" for key, text in fields.items())


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
