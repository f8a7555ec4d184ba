"""Start a program whose libraries are an optional extra."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def start(module: str, *, prog_name: str, extra: str) -> None:
    """Import a module that needs ``extra``, and run its ``program``.

    Ctrl-C and a closed pipe end the process without a traceback, and by
    their signal, which shells and scripts expect.
    """
    # before the first import, which takes long enough for a Ctrl-C
    sys.excepthook = _show_defect
    sys.unraisablehook = _show_ignored
    import signal  # noqa: PLC0415

    interruptible = (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    try:
        if interruptible:
            # while modules load there is nothing to clean up
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        __import__(module)
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            sys.modules[module].program(prog_name=prog_name)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except ModuleNotFoundError as error:
        from clonepolicy._terminal.errors import Exit  # noqa: PLC0415

        sys.stderr.write(
            f"error: there is no module {error.name}; "
            f"install clonepolicy[{extra}]\n"
        )
        sys.exit(Exit.USAGE)
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
    finally:
        if interruptible:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _show_defect(
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Show an exception, except a Ctrl-C, which ends Python itself."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _show_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """Show an exception that Python ignores, but let a Ctrl-C end it."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        import signal  # noqa: PLC0415

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    sys.__unraisablehook__(ignored)
