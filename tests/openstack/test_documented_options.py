# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""The options in the documentation exist, and have the described effect."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
pytest.importorskip("glance", reason="needs Glance: nox -s openstack")
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects").register_all()

import cinder.scheduler.host_manager  # registers options
import cinder.volume.manager  # noqa: F401 - the same
from cinder.volume.drivers import rbd
from conf_files import parsed
from keystoneauth1 import loading
from oslo_config import cfg

from clonepolicy import SAFE, GlanceStore
from clonepolicy.adapters.cinder import Mode, settings_from
from clonepolicy.adapters.conf import config_from_file
from clonepolicy.adapters.conf._own import (
    OPTS,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "enable.md"
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("[!_]*/*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)


def snippets(name: str, *pages: Path) -> list[str]:
    """Return the snippets of pages for a file."""
    fence = re.compile(r"(?ms)^```ini\n# (\S+)\n(.*?)^```$")
    found = [
        both for page in pages for both in fence.findall(page.read_text())
    ]
    return [text for file, text in found if file == name]


def sections(text: str, folder: Path) -> dict[str, list[str]]:
    """Return the options of each group of a snippet."""
    path = folder / "snippet.conf"
    path.write_text(text)
    found: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), found).parse()
    return {group: list(options) for group, options in found.items()}


def glance_options() -> dict[str, set[str]]:
    """Return the options of glance-api and of the cinder store, by group.

    The store's are read from its source, which needs a client of Cinder.
    """
    generator = Path(sys.executable).with_name("oslo-config-generator")
    made = subprocess.run(
        [
            *(generator, "--format", "json"),
            *("--namespace", "glance.api"),
            *("--namespace", "glance.multi_store"),
        ],
        check=True,
        capture_output=True,
    )
    known = {
        group: {opt["name"] for opt in shown["opts"]}
        for group, shown in json.loads(made.stdout)["options"].items()
    }
    spec = importlib.util.find_spec("glance_store")
    assert spec is not None
    assert spec.origin is not None
    store = Path(spec.origin).parent / "_drivers" / "cinder" / "store.py"
    known["volumes"] = {
        str(call.args[0].value)
        for call in ast.walk(ast.parse(store.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr.endswith("Opt")
        and isinstance(call.args[0], ast.Constant)
    }
    return known


def test_the_pages_name_existing_options_of_cinder(tmp_path: Path) -> None:
    """Each is in its group; a backend has those of [backend_defaults]."""
    auth = loading.get_auth_plugin_conf_options("password")
    backend = {*cfg.CONF.backend_defaults, *(o.name for o in rbd.RBD_OPTS)}
    known = {
        "DEFAULT": set(cfg.CONF),
        "glance": {*cfg.CONF.glance, *(opt.dest for opt in auth)},
        "ceph": backend,
        "clonepolicy": {opt.name for opt in OPTS},
    }
    texts = snippets("cinder.conf", *PAGES)
    assert len(texts) > 5
    for text in texts:
        for group, options in sections(text, tmp_path).items():
            assert set() == set(options) - known[group], group


def test_the_pages_name_existing_options_of_glance(tmp_path: Path) -> None:
    """Each is in its group."""
    (text,) = snippets("glance-api.conf", *PAGES)
    known = glance_options()
    for group, options in sections(text, tmp_path).items():
        assert set() == set(options) - known[group], group


def test_every_snippet_names_its_file() -> None:
    """So each is tested here."""
    fences = sum(page.read_text().count("```ini") for page in PAGES)
    files = ("cinder.conf", "glance-api.conf")
    assert fences == sum(len(snippets(name, *PAGES)) for name in files)


def test_the_snippets_of_the_page_enable_cloning(
    written: Callable[[str], Path],
) -> None:
    """One after the other they are a valid configuration."""
    path = written("\n".join(snippets("cinder.conf", PAGE)))
    config = config_from_file(path, "ceph")
    assert "cinder" in config.allowed_direct_url_schemes
    assert config.image_upload_use_cinder_backend
    assert config.image_upload_use_internal_tenant
    project = config.cinder_internal_tenant_project_id
    assert project is not None
    assert config.trusts(project)
    assert {project} == config.trusted_projects
    settings = settings_from(parsed(path))
    assert (SAFE, Mode.ENFORCE) == (settings.policy, settings.mode)
    stores = (GlanceStore(id="volumes", cinder_volume_type="ceph"),)
    assert stores == settings.glance_stores
