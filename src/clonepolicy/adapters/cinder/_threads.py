"""The thread in which eventlet lets drivers wait."""

from __future__ import annotations

from eventlet import hubs, tpool

from clonepolicy import UnsupportedError


def check_thread() -> None:
    """Return if drivers can wait for eventlet's pool in this thread.

    The pool belongs to the first thread that uses it.  In any other a driver
    would wait for ever.

    Raises:
        UnsupportedError: the pool is another thread's.
    """
    if (
        tpool._setup_already
        and tpool._coro.parent is not hubs.get_hub().greenlet
    ):
        raise UnsupportedError(
            "Cinder's drivers would hang in this thread, because another one "
            "has used them: call eventlet.monkey_patch() before any other "
            "import, or use drivers in one thread only"
        )
