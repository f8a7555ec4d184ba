"""A volume driver with real files and real clones, for tests only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cinder.volume.drivers import nfs


class ReflinkDriver(nfs.NfsDriver):
    """Cinder's NFS driver, except that it clones by reflink.

    A reflink copies one moment, so that the source may be in any state.  The
    NFS driver refuses to clone a volume in status uploading.
    """

    SUPPORTS_ACTIVE_ACTIVE = True

    def create_cloned_volume(
        self, volume: Any, src_vref: Any
    ) -> dict[str, str]:
        folder = Path(self._local_volume_dir(src_vref))
        source, target = folder / src_vref.name, folder / volume.name
        self._execute("cp", "--reflink=always", str(source), str(target))
        self._execute("truncate", f"--size={volume.size}G", str(target))
        return {"provider_location": src_vref.provider_location}

    def _update_volume_stats(self) -> None:
        super()._update_volume_stats()
        self._stats["clone_while_uploading"] = True
        self._stats["clone_in_use"] = True
