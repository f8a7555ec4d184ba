"""Read configuration files, and take back what a test set."""

from __future__ import annotations

from pathlib import Path

from oslo_config import cfg


def parsed(path: Path) -> cfg.ConfigOpts:
    """Read a file as a service does, without the global options."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(path)], default_config_dirs=[])
    return conf


def clear(option: str, group: str | None) -> None:
    """Take back an option of the process, and from where it was set."""
    cfg.CONF.clear_override(option, group)
    # which clear_override leaves
    cfg.CONF._get_opt_info(option, group).pop("location", None)
