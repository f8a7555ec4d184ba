"""The command line (extra ``cli``): decide, explain, run a local cloud.

With ``--json`` a command writes one JSON document to standard output, or an
error as one JSON line to standard error.  ``clonepolicy --help`` lists the
exit codes.
"""

__all__ = ["main"]


def main() -> None:
    """Run the program."""
    try:
        from clonepolicy._terminal.start import start
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    start("clonepolicy.cli._program", prog_name="clonepolicy", extra="cli")
