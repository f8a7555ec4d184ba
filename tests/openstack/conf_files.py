"""Read configuration files apart from the global options."""

from __future__ import annotations

from pathlib import Path

from oslo_config import cfg


def parsed(path: Path) -> cfg.ConfigOpts:
    """Read a file as a service does, without the global options."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(path)], default_config_dirs=[])
    return conf
