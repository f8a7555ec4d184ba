"""cinder.conf and glance-api.conf are read as the services read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("oslo_config", reason="install clonepolicy[lint]")

from oslo_config import cfg

from clonepolicy import Config, FactError, GlanceConfig, GlanceStore
from clonepolicy.adapters.conf import (
    CINDER,
    GLANCE,
    CinderConf,
    GlanceConf,
    config_from_file,
    files_of,
    glance_config_from_file,
)

CINDER_CONF = """\
[DEFAULT]
enabled_backends = ceph, nfs,ceph
allowed_direct_url_schemes =
    cinder

# ignored: no backend reads [DEFAULT]
image_volume_cache_enabled = true
cinder_internal_tenant_project_id = internal
state_path = /srv/cinder

[backend_defaults]
image_upload_use_cinder_backend = true
image_volume_cache_enabled = false
backend_host = shared

[nfs]
image_volume_cache_enabled = true
image_volume_cache_enabled = yes

[glance]
auth_plugin = password

[clonepolicy]
trusted_projects = store,
"""
GLANCE_CONF = """\
[DEFAULT]
enabled_backends = fast:cinder, web:http
show_multiple_locations = True

[fast]
cinder_volume_type = ssd
cinder_store_user_name = glance
cinder_store_password = secret
cinder_store_auth_address = http://keystone
"""
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file."""

    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return written


@pytest.mark.parametrize(
    ("name", "group", "value", "place"),
    [
        (
            "allowed_direct_url_schemes",
            "DEFAULT",
            ("cinder",),
            ("[DEFAULT]", 3),
        ),
        ("image_conversion_dir", "DEFAULT", "/srv/cinder/conversion", ("", 0)),
        ("image_upload_use_cinder_backend", "nfs", True, ("[backend_def", 12)),
        ("image_volume_cache_enabled", "ceph", False, ("[backend_def", 13)),
        ("image_volume_cache_enabled", "nfs", True, ("[nfs]", 18)),
        ("image_volume_cache_max_count", "nfs", 0, ("", 0)),
        ("backend_host", "nfs", None, ("", 0)),
        ("auth_type", "glance", "password", ("[glance]", 21)),
        ("mode", "clonepolicy", "enforce", ("", 0)),
    ],
)
def test_a_value_in_force_has_its_place(
    write: Write, name: str, group: str, value: object, place: tuple[str, int]
) -> None:
    """The line is the first of the assignment that counts."""
    path = write("cinder.conf", CINDER_CONF)
    origin, line = place

    found = CinderConf([path]).value(name, group)

    assert found.value == value
    assert found.origin.startswith(origin or "default")
    at = found.assignment
    assert (0 if at is None else at.line) == line
    assert at is None or at.file == str(path)


def test_the_last_file_that_sets_an_option_counts(write: Write) -> None:
    """Files of ``cinder.conf.d`` are read behind the file, by their names."""
    first = write("cinder.conf", CINDER_CONF)
    more = "cinder.conf.d"
    write(f"{more}/2.conf", "[nfs]\nimage_volume_cache_enabled = false\n")
    last = write(f"{more}/3.conf", "\n[nfs]\nrbd_pool = p\n")
    write(f"{more}/README", "not a file of options")

    files = files_of(first.parent, "cinder.conf")
    conf = CinderConf(files)

    assert ["cinder.conf", "2.conf", "3.conf"] == [Path(f).name for f in files]
    assert conf.value("image_volume_cache_enabled", "nfs").value is False
    pool = conf.value("rbd_pool", "nfs").assignment
    assert pool is not None
    assert (str(last), 3) == (pool.file, pool.line)
    assert config_from_file(first, "nfs") == conf.config("nfs")


def test_the_backends_are_named_once(write: Write) -> None:
    """Their order is that of the file."""
    conf = CinderConf([write("cinder.conf", CINDER_CONF)])

    assert ("ceph", "nfs") == conf.backends
    assert () == CinderConf([write("cinder.conf", "")]).backends


def test_a_file_gives_the_facts_of_a_backend(write: Write) -> None:
    """The records have what the services would use."""
    config = config_from_file(write("cinder.conf", CINDER_CONF), "nfs")

    assert config == Config(
        allowed_direct_url_schemes=frozenset({"cinder"}),
        cinder_internal_tenant_project_id="internal",
        image_upload_use_cinder_backend=True,
        image_volume_cache_enabled=True,
        trusted_projects=frozenset({"store"}),
    )


def test_a_file_leaves_unknown_what_it_does_not_tell(write: Write) -> None:
    """Glance's version and roles are in no file."""
    path = write("glance-api.conf", GLANCE_CONF)
    stores = (GlanceStore(id="fast", cinder_volume_type="ssd"),)
    known = GlanceConfig(
        has_location_api=True, service_roles=frozenset({"admin"})
    )

    alone = glance_config_from_file(path)
    with_more = glance_config_from_file(path, known)

    assert alone == GlanceConfig(show_multiple_locations=True, stores=stores)
    assert alone.has_location_api is None
    assert with_more.has_location_api is True
    assert with_more.service_roles == known.service_roles
    assert with_more.stores == stores


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", {"cinder_store_project_name"}),
        ("cinder_store_project_name = images\n", set()),
        ("cinder_store_application_credential_id = id\n", {"project"}),
        (
            (
                "cinder_store_application_credential_id = id\n"
                "cinder_store_application_credential_secret = s\n"
            ),
            set(),
        ),
    ],
)
def test_incomplete_credentials_are_named(
    write: Write, text: str, missing: set[str]
) -> None:
    """Glance needs four, or a whole application credential."""
    conf = GlanceConf([write("glance-api.conf", GLANCE_CONF + text)])

    found = conf.missing_credentials("fast")

    assert len(missing) == len(found)
    assert all("project" in name for name in found)


def test_without_enabled_backends_there_is_one_store(write: Write) -> None:
    """Its options are in [glance_store], and it has no name in a location."""
    text = "[glance_store]\nstores = rbd,cinder\ncinder_volume_type = ssd\n"
    conf = GlanceConf([write("glance-api.conf", text)])

    assert ("glance_store",) == conf.cinder_stores
    assert "ssd" == conf.value("cinder_volume_type", "glance_store").value
    assert () == conf.facts()["stores"]


def test_a_password_is_never_shown(write: Write) -> None:
    """Reports and logs go where files do not."""
    conf = GlanceConf([write("glance-api.conf", GLANCE_CONF)])

    assert "***" == conf.value("cinder_store_password", "fast").shown
    for row in (*CINDER, *GLANCE):
        assert row.secret is any(
            word in row.name for word in ("password", "secret", "key")
        ), row.name


@pytest.mark.parametrize(
    ("group", "line"),
    [
        ("nfs", "\nimage_volume_cache_max_count =\n  many\n"),
        ("DEFAULT", "verify_glance_signatures = maybe\n"),
        ("DEFAULT", "volume_manager = $nowhere\n"),
    ],
)
def test_an_invalid_value_is_named_with_its_line(
    write: Write, group: str, line: str
) -> None:
    """So is one that refers to an option that is not known."""
    path = write("cinder.conf", f"[{group}]\n{line}")
    name = line.split(maxsplit=1)[0]
    at = 2 + line.startswith("\n")
    conf = CinderConf([path])

    with pytest.raises(FactError) as caught:
        conf.value(name, group)

    assert f"{path}:{at}: [{group}] {name}: " in str(caught.value)


@pytest.mark.parametrize("text", ["x = 1\n", "[DEFAULT\n", " x\n", "[a]\nb\n"])
def test_a_file_that_is_not_of_this_format_is_refused(
    write: Write, text: str
) -> None:
    """The error names the file and what is wrong."""
    path = write("cinder.conf", text)

    with pytest.raises(FactError, match=r"cinder\.conf"):
        CinderConf([path])


NAMES = st.sampled_from(["rbd_pool", "rbd_user", "volume_driver"])
GROUPS = st.sampled_from(
    ["DEFAULT", "ceph", "CEPH", "nfs", "backend_defaults"]
)
TEXTS = st.text("ab =:'\"", max_size=5)
LINES = st.lists(st.tuples(GROUPS, NAMES, TEXTS), max_size=8)


@settings(max_examples=30)
@given(files=st.lists(LINES, min_size=1, max_size=3))
def test_the_place_is_where_the_value_comes_from(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[str, str, str]]],
) -> None:
    """oslo.config finds the value, and this package the line."""
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for at, rows in enumerate(files):
        text = "".join(f"[{g}]\n{n} = {t}\n" for g, n, t in rows)
        paths.append(folder / f"{at}.conf")
        paths[-1].write_text(text)
    conf = CinderConf(paths)
    oslo = cfg.ConfigOpts()
    oslo([], default_config_files=[*map(str, paths)], default_config_dirs=[])
    for name in ("rbd_pool", "rbd_user", "volume_driver"):
        for group in ("ceph", "backend_defaults"):
            oslo.register_opt(cfg.StrOpt(name), group=group)
        expected = oslo.ceph[name]
        if expected is None:
            expected = oslo.backend_defaults[name]

        found = conf.value(name, "ceph")

        if expected is None:
            assert found.assignment is None
            continue
        assert found.value == expected
        place = found.assignment
        assert place is not None
        line = Path(place.file).read_text().splitlines()[place.line - 1]
        assert line.startswith(f"{name} =")
