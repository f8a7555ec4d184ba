"""Drivers that are used in several threads, outside Cinder's services."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

PROGRAM = """
import threading
from types import SimpleNamespace

from cinder import objects
from eventlet import tpool
from oslo_config import cfg

objects.register_all()

from clonepolicy import AdapterError, Image
from clonepolicy.adapters.cinder import CinderArray, CinderVolumes

cfg.CONF.set_override("image_conversion_dir", None)


class Driver:
    '''Reads and writes as Cinder's image_utils do.'''

    capabilities = {}

    def create_volume(self, volume):
        tpool.execute(int)

    def copy_image_to_volume(self, *args):
        tpool.execute(int)

    def copy_volume_to_image(self, context, volume, service, meta):
        service.update(context, meta["id"], meta, tpool.Proxy(Data()))


class Data:
    '''Some data, then none.'''

    def __init__(self):
        self.left = [b"data"]

    def read(self, size):
        return self.left.pop() if self.left else b""


volume = SimpleNamespace(id="v", name="v", size=1)
array = CinderArray(
    driver=Driver(),
    volumes=CinderVolumes(context=SimpleNamespace(elevated=dict)),
    known={"v": volume},
)


def use(name):
    try:
        if name == "read":
            print(b"".join(array.read("v")))
        else:
            image = Image(id="i", status="active")
            array.write("v", 1, image, iter([b"data"]))
            print("written")
    except AdapterError as error:
        print(error)


use(WHAT)
thread = threading.Thread(target=use, args=[WHAT], daemon=True)
thread.start()
thread.join(20)
print("hangs" if thread.is_alive() else "ended")
"""


@pytest.mark.parametrize("what", ["read", "write"])
def test_a_second_thread_is_refused_where_it_would_hang(what: str) -> None:
    """The error says what to do; eventlet is not patched in this process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"WHAT = {what!r}{PROGRAM}"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    first, second, end = done.stdout.splitlines()
    assert first == ("b'data'" if what == "read" else "written")
    assert "call eventlet.monkey_patch() before any other import" in second
    assert end == "ended"
