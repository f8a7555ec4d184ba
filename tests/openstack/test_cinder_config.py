# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""Options of Cinder's and of our own become records, or FactErrors."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    SAFE,
    Config,
    FactError,
    GlanceStore,
)

WHY = "the packages of `nox -s openstack` are not installed"
pytest.importorskip("cinder", reason=WHY)
pytest.importorskip("glance", reason=WHY)
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects", reason=WHY).register_all()

import cinder.volume.manager  # noqa: F401 - registers what a service has
from cinder.volume import configuration, driver
from cinder.volume.drivers import rbd
from keystoneauth1 import loading
from oslo_config import cfg

from clonepolicy.adapters.cinder._config import (
    OPTS,
    Mode,
    Notes,
    Settings,
    config_from,
    config_from_files,
    list_opts,
    register_opts,
    settings_from,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "enable.md"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
OWN_POLICY = attrs.evolve(SAFE, name="own")
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

[clonepolicy]
trusted_projects = store, other
trusted_image_pools = images
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
    trusted_image_pools=frozenset({"images"}),
)
NFS = attrs.evolve(
    CEPH,
    image_upload_use_internal_tenant=False,
    image_volume_cache_enabled=True,
)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "cinder.conf"
        path.write_text(text)
        return path

    return write


def parsed(path: Path) -> cfg.ConfigOpts:
    """Read a file as a service does, into options of its own."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(path)], default_config_dirs=[])
    return conf


def test_without_a_word_everything_is_as_in_the_help() -> None:
    """The defaults of the record are those of the options."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    assert Settings() == settings_from(conf)


def test_every_option_is_read(written: Callable[[str], Path]) -> None:
    """Each option has its field, and each field its option."""
    conf = parsed(
        written(
            """\
[clonepolicy]
policy = CINDER_29
mode = shadow
notes = decline
trusted_projects = p1,p2
trusted_image_pools = images
download_image_restricted = true
user_messages = false
show_multiple_locations = true
glance_stores = ceph=gold, old=a=b:ro
"""
        )
    )
    assert settings_from(conf) == Settings(
        policy=CINDER_29,
        mode=Mode.SHADOW,
        notes=Notes.DECLINE,
        trusted_projects=frozenset({"p1", "p2"}),
        trusted_image_pools=frozenset({"images"}),
        download_image_restricted=True,
        user_messages=False,
        show_multiple_locations=True,
        glance_stores=(
            GlanceStore(id="ceph", cinder_volume_type="gold"),
            GlanceStore(id="old", cinder_volume_type="a=b", read_only=True),
        ),
    )
    names = {field.name for field in attrs.fields(Settings)}
    assert names == {opt.name for opt in OPTS}


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("SAFE", SAFE),
        ("LIBERTY", LIBERTY),
        ("CINDER_29", CINDER_29),
        ("clonepolicy.SAFE", SAFE),
        (f"{__name__}.OWN_POLICY", OWN_POLICY),
    ],
)
def test_a_policy_is_found_by_its_name_or_its_path(
    written: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    policy: object,
) -> None:
    """Operators may bring their own."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    conf = parsed(written(f"[clonepolicy]\npolicy = {name}\n"))
    assert policy == settings_from(conf).policy


@pytest.mark.parametrize(
    "name",
    [
        "",
        "safe",
        "no.such.module",
        "clonepolicy.NONE",
        "clonepolicy",
        "clonepolicy.GiB",
        "clonepolicy..SAFE",
        "a b",
    ],
)
def test_a_policy_that_is_none_is_refused(
    written: Callable[[str], Path], name: str
) -> None:
    """One error names the option, what it says, and what may stand there."""
    conf = parsed(written(f"[clonepolicy]\npolicy = {name}\n"))
    with pytest.raises(FactError) as caught:
        settings_from(conf)
    assert caught.value.field == "[clonepolicy] policy"
    assert caught.value.value == name
    assert "SAFE, LIBERTY, CINDER_29 or the dotted path" in str(caught.value)


@pytest.mark.parametrize(
    "entry", ["gold", "=gold", "s1=", "s1=:ro", "s1=a,s1=b"]
)
def test_a_store_without_its_type_is_refused(
    written: Callable[[str], Path], entry: str
) -> None:
    """Each store has one volume type, though it be Cinder's default."""
    conf = parsed(written(f"[clonepolicy]\nglance_stores = {entry}\n"))
    with pytest.raises(FactError, match="glance_stores: expected id=volume"):
        settings_from(conf)


@pytest.mark.parametrize(
    ("option", "value"),
    [("mode", "off"), ("notes", "Log"), ("user_messages", "perhaps")],
)
def test_a_value_that_is_none_is_refused(
    written: Callable[[str], Path], option: str, value: str
) -> None:
    """One error names the option and its value."""
    conf = parsed(written(f"[clonepolicy]\n{option} = {value}\n"))
    with pytest.raises(
        FactError, match=rf"\[clonepolicy\] {option}: .*{value}"
    ):
        settings_from(conf)


def test_options_are_given_away_as_copies() -> None:
    """oslo.config asks for that: generators change what they are given."""
    ((group, opts),) = list_opts()
    assert group == "clonepolicy"
    assert opts == OPTS
    assert not {id(opt) for opt in opts} & {id(opt) for opt in OPTS}


def test_registering_twice_does_no_harm() -> None:
    """Services reload, and several backends share one process."""
    conf = cfg.ConfigOpts()
    register_opts(conf)
    register_opts(conf)
    assert conf.clonepolicy.mode == "enforce"


def test_the_generated_sample_says_the_defaults(tmp_path: Path) -> None:
    """oslo-config-generator finds the options by their entry point."""
    sample = tmp_path / "sample.conf"
    generator = Path(sys.executable).with_name("oslo-config-generator")
    subprocess.run(
        [generator, "--namespace", "clonepolicy", "--output-file", sample],
        check=True,
    )
    text = sample.read_text()
    for opt in OPTS:
        assert f"#{opt.name} =" in text
    uncommented = re.sub(r"(?m)^#(\w+ =)", r"\1", text)
    sample.write_text(uncommented)
    assert Settings() == settings_from(parsed(sample))


@pytest.mark.parametrize(("backend", "config"), [("ceph", CEPH), ("nfs", NFS)])
def test_files_are_read_for_a_backend(
    written: Callable[[str], Path], backend: str, config: Config
) -> None:
    """The backend's own group counts over what all backends share."""
    assert config == config_from_files([written(FULL)], backend)
    assert set(FIELDS) == set(attrs.asdict(config))


def test_later_files_count_over_earlier_ones(tmp_path: Path) -> None:
    """So do services read them."""
    first, second = tmp_path / "1.conf", tmp_path / "2.conf"
    first.write_text(FULL)
    second.write_text("[DEFAULT]\nallowed_direct_url_schemes =\n")
    config = config_from_files([str(first), second], "ceph")
    assert frozenset() == config.allowed_direct_url_schemes


def test_files_touch_no_running_service(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither Cinder's own options nor the environment have a part in it."""
    monkeypatch.setenv("OS_DEFAULT__ENABLE_FORCE_UPLOAD", "false")
    before = (set(cfg.CONF), cfg.CONF.allowed_direct_url_schemes)
    assert config_from_files([written(FULL)], "nfs") == NFS
    assert before == (set(cfg.CONF), cfg.CONF.allowed_direct_url_schemes)
    assert "nfs" not in cfg.CONF
    opt = next(o for o in driver.image_opts if o.name in FIELDS)
    assert opt.default is False


def test_an_almost_empty_file_gives_the_defaults(
    written: Callable[[str], Path],
) -> None:
    """Nothing is allowed that nobody wrote; an empty id is none."""
    path = written(
        "[DEFAULT]\nenabled_backends = b\ncinder_internal_tenant_user_id =\n"
    )
    assert Config() == config_from_files([path], "b")


@pytest.mark.parametrize("backend", ["ceph ", "backend_defaults", "", "other"])
def test_a_backend_that_is_not_enabled_is_refused(
    written: Callable[[str], Path], backend: str
) -> None:
    """Its group may be there, and no service reads it."""
    path = written(FULL + "[other]\nimage_volume_cache_enabled = true\n")
    with pytest.raises(FactError, match=r"backend: .* enabled_backends, ceph"):
        config_from_files([path], backend)


def test_what_cannot_be_read_is_refused(
    tmp_path: Path, written: Callable[[str], Path]
) -> None:
    """One error, whether it is missing, a directory or no such file."""
    garbled = tmp_path / "garbled.conf"
    garbled.write_bytes(b"[DEFAULT]\nenabled_backends = \xff\n")
    for path in (tmp_path, tmp_path / "none", garbled, written("x = 1\n")):
        with pytest.raises(FactError, match="can be read") as caught:
            config_from_files([path], "b")
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
def test_a_wrong_value_in_a_file_is_refused_by_name(
    written: Callable[[str], Path], group: str, option: str
) -> None:
    """One error names the group, the option and the value."""
    text = f"[DEFAULT]\nenabled_backends = ceph\n[{group}]\n{option} = maybe\n"
    with pytest.raises(FactError, match=rf"\[{group}\] {option}: .*maybe"):
        config_from_files([written(text)], "ceph")


def test_a_reference_to_nothing_is_refused_by_name(
    written: Callable[[str], Path],
) -> None:
    """Values may name other options, which have to be there."""
    text = FULL.replace("= internal\n", "= $nowhere\n")
    with pytest.raises(FactError, match=r"tenant_project_id: .* nowhere"):
        config_from_files([written(text)], "ceph")


def refused(path: Path, otherwise: str) -> str:
    """Name the option for which a file is refused, if it is."""
    try:
        config_from_files([path], "nfs")
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
    """Whatever is written, nothing but FactError comes out."""
    path = tmp_path_factory.getbasetemp() / "any.conf"
    lines = FULL.splitlines()
    group = "clonepolicy" if name.startswith("trusted") else "DEFAULT"
    if name in {opt.name for opt in driver.image_opts}:
        group = "nfs"
    lines = [line for line in lines if not line.startswith(f"{name} =")]
    lines.insert(lines.index(f"[{group}]") + 1, f"{name} = {value}")
    path.write_text("\n".join(lines), encoding="utf-8")
    assert refused(path, otherwise=name) in {name, "paths"}


@pytest.fixture
def service(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> cfg.ConfigOpts:
    """Let Cinder's own class read a file, apart from the CONF of others."""
    conf = parsed(written(FULL))
    monkeypatch.setattr(configuration, "CONF", conf)
    return conf


@pytest.mark.parametrize(("backend", "config"), [("ceph", CEPH), ("nfs", NFS)])
def test_a_running_service_reads_the_same_as_its_files(
    service: cfg.ConfigOpts, backend: str, config: Config
) -> None:
    """CONF and a driver's configuration are what Cinder itself asks."""
    ours = configuration.Configuration(driver.image_opts, backend)
    assert config == config_from(service, ours)


def test_a_backend_in_the_default_group_is_read(
    service: cfg.ConfigOpts,
) -> None:
    """A configuration without a group is the DEFAULT group."""
    ours = configuration.Configuration([])
    ours.append_config_values(driver.image_opts)
    config = config_from(service, ours)
    assert config.image_volume_cache_enabled
    assert not config.image_upload_use_cinder_backend


def test_an_option_that_a_driver_does_not_know_is_off(
    service: cfg.ConfigOpts,
) -> None:
    """Cinder asks in the same way, and takes None for no."""
    config = config_from(service, configuration.Configuration([]))
    assert not config.image_volume_cache_enabled


def test_what_is_no_switch_is_refused(service: cfg.ConfigOpts) -> None:
    """A driver's configuration may be anything that answers."""
    odd = SimpleNamespace(safe_get=lambda _name: "yes")
    with pytest.raises(FactError, match=r"Config\.image_\w+: .* got 'yes'"):
        config_from(service, odd)


def test_schemes_are_read_as_cinder_reads_them(
    service: cfg.ConfigOpts,
) -> None:
    """Cinder asks `'cinder' in CONF.allowed_direct_url_schemes`."""
    ours = configuration.Configuration(driver.image_opts, "ceph")
    config_from(service, ours)
    for text in ("cinder", "Cinder", " cinder ,x", "file", ""):
        schemes = cfg.types.List()(text)
        service.set_override("allowed_direct_url_schemes", schemes)
        found = config_from(service, ours).allowed_direct_url_schemes
        assert ("cinder" in schemes) == ("cinder" in found)


def test_a_service_has_the_options_already() -> None:
    """What a service registers by its imports is not registered twice."""
    names = set(FIELDS) - {"trusted_projects", "trusted_image_pools"}
    assert names <= set(cfg.CONF)


def snippets(name: str, *pages: Path) -> list[str]:
    """Give what pages put into a file, snippet by snippet."""
    fence = re.compile(r"(?ms)^```ini\n# (\S+)\n(.*?)^```$")
    found = [
        both for page in pages for both in fence.findall(page.read_text())
    ]
    return [text for file, text in found if file == name]


def sections(text: str, folder: Path) -> dict[str, list[str]]:
    """Give the options of each group, read by oslo.config's own parser."""
    path = folder / "snippet.conf"
    path.write_text(text)
    found: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), found).parse()
    return {group: list(options) for group, options in found.items()}


def glance_options() -> dict[str, set[str]]:
    """Ask glance-api's options of the generator, and read the store's.

    The cinder store cannot be imported without a client of Cinder's API.
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
        group: {opt["name"] for opt in told["opts"]}
        for group, told in json.loads(made.stdout)["options"].items()
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


def test_the_page_names_options_that_cinder_has(tmp_path: Path) -> None:
    """Each in its group: a backend's are those of backend_defaults."""
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


def test_the_page_names_options_that_glance_has(tmp_path: Path) -> None:
    """Each in its group: a store's are those of the cinder store."""
    (text,) = snippets("glance-api.conf", *PAGES)
    known = glance_options()
    for group, options in sections(text, tmp_path).items():
        assert set() == set(options) - known[group], group


def test_every_snippet_says_for_which_file_it_is() -> None:
    """None of them escapes the tests here."""
    fences = sum(page.read_text().count("```ini") for page in PAGES)
    files = ("cinder.conf", "glance-api.conf")
    assert fences == sum(len(snippets(name, *PAGES)) for name in files)


def test_the_page_enables_what_it_says(
    written: Callable[[str], Path],
) -> None:
    """Its snippets one after the other are a configuration that works."""
    path = written("\n".join(snippets("cinder.conf", PAGE)))
    config = config_from_files([path], "ceph")
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
