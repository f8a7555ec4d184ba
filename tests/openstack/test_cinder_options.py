# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""Cinder's own options become a Config, or errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects").register_all()

import cinder.volume.manager  # noqa: F401 - registers options
from cinder import context
from cinder.volume import configuration, driver
from conf_files import clear, parsed
from oslo_config import cfg

from clonepolicy import Config, FactError
from clonepolicy.adapters.cinder import _images, config_from
from clonepolicy.adapters.conf import CinderConf

FIELDS = attrs.fields_dict(Config)
FULL = """\
[DEFAULT]
enabled_backends = ceph, nfs
allowed_direct_url_schemes = cinder , FILE,
verify_glance_signatures = disabled
cinder_internal_tenant_project_id = internal
cinder_internal_tenant_user_id = cinder
image_conversion_disable = true
allow_compression_on_image_upload = true
enable_force_upload = true
# options of a backend mean nothing here
image_volume_cache_enabled = true

[backend_defaults]
image_upload_use_cinder_backend = true
image_upload_use_internal_tenant = true

[nfs]
image_upload_use_internal_tenant = false
image_volume_cache_enabled = true
image_volume_cache_max_size_gb = 200

[clonepolicy]
trusted_projects = store, other
trusted_image_pools = images,/images/
"""
CEPH = Config(
    allowed_direct_url_schemes=frozenset({"cinder", "FILE"}),
    verify_glance_signatures="disabled",
    cinder_internal_tenant_project_id="internal",
    cinder_internal_tenant_user_id="cinder",
    image_upload_use_cinder_backend=True,
    image_upload_use_internal_tenant=True,
    image_conversion_disable=True,
    allow_compression_on_image_upload=True,
    enable_force_upload=True,
    trusted_projects=frozenset({"store", "other"}),
    trusted_image_pools=frozenset({"images", "/images"}),
)
NFS = attrs.evolve(
    CEPH,
    image_upload_use_internal_tenant=False,
    image_volume_cache_enabled=True,
    image_volume_cache_max_size_gb=200,
)


# -- files --------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "config"), [("ceph", CEPH), ("nfs", NFS)])
def test_files_are_read_for_a_backend(
    written: Callable[[str], Path], backend: str, config: Config
) -> None:
    """The backend's group overrides [backend_defaults]."""
    assert config == CinderConf([written(FULL)]).config(backend)
    assert set(FIELDS) == set(attrs.asdict(config))


def test_later_files_override_earlier_ones(tmp_path: Path) -> None:
    """Services read them in the same way."""
    first, second = tmp_path / "1.conf", tmp_path / "2.conf"
    first.write_text(FULL)
    second.write_text("[DEFAULT]\nallowed_direct_url_schemes =\n")
    config = CinderConf([str(first), second]).config("ceph")
    assert frozenset() == config.allowed_direct_url_schemes


def test_reading_files_does_not_change_the_running_service(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options and the environment have no influence either."""
    monkeypatch.setenv("OS_DEFAULT__ENABLE_FORCE_UPLOAD", "false")
    before = (set(cfg.CONF), cfg.CONF.allowed_direct_url_schemes)
    assert CinderConf([written(FULL)]).config("nfs") == NFS
    assert before == (set(cfg.CONF), cfg.CONF.allowed_direct_url_schemes)
    assert "nfs" not in cfg.CONF
    opt = next(o for o in driver.image_opts if o.name in FIELDS)
    assert opt.default is False


def test_an_almost_empty_file_gives_the_defaults(
    written: Callable[[str], Path],
) -> None:
    """An empty id means that there is none."""
    path = written(
        "[DEFAULT]\nenabled_backends = b\ncinder_internal_tenant_user_id =\n"
    )
    assert Config() == CinderConf([path]).config("b")


@pytest.mark.parametrize("backend", ["ceph ", "backend_defaults", "", "other"])
def test_a_backend_that_is_not_enabled_is_refused(
    written: Callable[[str], Path], backend: str
) -> None:
    """No service reads its group."""
    path = written(FULL + "[other]\nimage_volume_cache_enabled = true\n")
    with pytest.raises(FactError, match=r"backend: .* enabled_backends, ceph"):
        CinderConf([path]).config(backend)


def test_an_unreadable_file_is_refused(
    tmp_path: Path, written: Callable[[str], Path]
) -> None:
    """It is missing, a directory, garbled or invalid."""
    garbled = tmp_path / "garbled.conf"
    garbled.write_bytes(b"[DEFAULT]\nenabled_backends = \xff\n")
    for path in (tmp_path, tmp_path / "none", garbled, written("x = 1\n")):
        with pytest.raises(FactError, match="can be read") as caught:
            CinderConf([path]).config("b")
        assert caught.value.value == [str(path)]


@pytest.mark.parametrize(
    ("group", "option"),
    [
        ("DEFAULT", "enable_force_upload"),
        ("DEFAULT", "verify_glance_signatures"),
        ("backend_defaults", "image_upload_use_internal_tenant"),
        ("ceph", "image_upload_use_cinder_backend"),
    ],
)
def test_an_invalid_value_in_a_file_is_named(
    written: Callable[[str], Path], group: str, option: str
) -> None:
    """The error has the group, the option and the value."""
    text = f"[DEFAULT]\nenabled_backends = ceph\n[{group}]\n{option} = maybe\n"
    with pytest.raises(FactError, match=rf"\[{group}\] {option}: .*maybe"):
        CinderConf([written(text)]).config("ceph")


def test_a_negative_limit_is_refused(written: Callable[[str], Path]) -> None:
    """It does not mean that there is none: Cinder would cache nothing."""
    path = written(FULL.replace("gb = 200", "gb = -1"))
    with pytest.raises(FactError, match=r"max_size_gb: .* from 0 .* got -1"):
        CinderConf([path]).config("nfs")


def test_a_reference_to_an_unknown_option_is_named(
    written: Callable[[str], Path],
) -> None:
    """A value may refer to another option."""
    text = FULL.replace("= internal\n", "= $nowhere\n")
    with pytest.raises(FactError, match=r"tenant_project_id: .* nowhere"):
        CinderConf([written(text)]).config("ceph")


def option_of_error(path: Path, otherwise: str) -> str:
    """Return the option for which a file is refused, or a default."""
    try:
        CinderConf([path]).config("nfs")
    except FactError as error:
        return error.field.rpartition(" ")[2]
    return otherwise


@given(
    st.sampled_from(sorted(FIELDS)),
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"))),
)
def test_any_value_is_a_record_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str
) -> None:
    """Any value in a file raises nothing but FactError."""
    path = tmp_path_factory.getbasetemp() / "any.conf"
    lines = FULL.splitlines()
    group = "clonepolicy" if name.startswith("trusted") else "DEFAULT"
    if name in {opt.name for opt in driver.image_opts}:
        group = "nfs"
    lines = [line for line in lines if not line.startswith(f"{name} =")]
    lines.insert(lines.index(f"[{group}]") + 1, f"{name} = {value}")
    path.write_text("\n".join(lines), encoding="utf-8")
    assert option_of_error(path, otherwise=name) in {name, "paths"}


# -- a running service --------------------------------------------------------


@pytest.fixture
def service(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> cfg.ConfigOpts:
    """Make Cinder's Configuration class read a file."""
    conf = parsed(written(FULL))
    monkeypatch.setattr(configuration, "CONF", conf)
    return conf


@pytest.mark.parametrize(("backend", "config"), [("ceph", CEPH), ("nfs", NFS)])
def test_a_running_service_reads_the_same_as_its_files(
    service: cfg.ConfigOpts, backend: str, config: Config
) -> None:
    """It reads CONF and a driver's configuration, as Cinder does."""
    configured = configuration.Configuration(driver.image_opts, backend)
    assert config == config_from(service, configured)


def test_a_backend_in_the_default_group_is_read(
    service: cfg.ConfigOpts,
) -> None:
    """A configuration without a group is that of [DEFAULT]."""
    configured = configuration.Configuration([])
    configured.append_config_values(driver.image_opts)
    config = config_from(service, configured)
    assert config.image_volume_cache_enabled
    assert not config.image_upload_use_cinder_backend


def test_an_option_that_a_driver_does_not_know_is_false(
    service: cfg.ConfigOpts,
) -> None:
    """Cinder reads None as no."""
    config = config_from(service, configuration.Configuration([]))
    assert not config.image_volume_cache_enabled


def test_a_value_of_the_wrong_type_is_refused(service: cfg.ConfigOpts) -> None:
    """A driver's configuration may return anything."""
    odd = SimpleNamespace(safe_get=lambda _name: "yes")
    with pytest.raises(FactError, match=r"Config\.image_\w+: .* got 'yes'"):
        config_from(service, odd)


def test_schemes_are_read_as_cinder_reads_them(
    service: cfg.ConfigOpts,
) -> None:
    """Cinder evaluates `'cinder' in CONF.allowed_direct_url_schemes`."""
    configured = configuration.Configuration(driver.image_opts, "ceph")
    config_from(service, configured)
    for text in ("cinder", "Cinder", " cinder ,x", "file", ""):
        schemes = cfg.types.List()(text)
        service.set_override("allowed_direct_url_schemes", schemes)
        found = config_from(service, configured).allowed_direct_url_schemes
        assert ("cinder" in schemes) == ("cinder" in found)


def test_a_service_has_the_options_already() -> None:
    """Its imports register them."""
    names = set(FIELDS) - {"trusted_projects", "trusted_image_pools"}
    assert names <= set(cfg.CONF)


# -- the credentials of [glance] ----------------------------------------------


def test_without_keystone_the_user_of_glance_counts_for_nothing() -> None:
    """As in Cinder, whose client then has no credentials to give."""
    conf = cfg.CONF
    conf([], default_config_files=[], default_config_dirs=[])
    _images.glance_user(conf)  # registers its options
    set_ = {
        ("auth_strategy", None): "noauth",
        ("glance_api_servers", None): ["http://127.0.0.1:9"],
        ("auth_type", "glance"): "password",
    }
    try:
        for (option, group), value in set_.items():
            conf.set_override(option, value, group)
        requester, service = _images.glance_clients(context.RequestContext())
    finally:
        for option, group in set_:
            clear(option, group)
    assert requester is not None
    assert service is None
