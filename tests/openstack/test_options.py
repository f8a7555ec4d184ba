# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""The options of [clonepolicy] become settings, or errors."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects").register_all()

from conf_files import parsed
from oslo_config import cfg

from clonepolicy import CINDER_29, LIBERTY, SAFE, FactError, GlanceStore
from clonepolicy.adapters.cinder import (
    Mode,
    Notes,
    Settings,
    list_opts,
    register_opts,
    settings_from,
)
from clonepolicy.adapters.conf._own import (
    OPTS,
    is_set,
)

OWN_POLICY = attrs.evolve(SAFE, name="own")


def test_the_defaults_of_settings_are_those_of_the_options() -> None:
    """An empty configuration gives `Settings()`."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    assert Settings() == settings_from(conf)


def test_an_option_is_set_if_a_file_sets_it(
    written: Callable[[str], Path],
) -> None:
    """Also to its default."""
    conf = parsed(written("[clonepolicy]\npolicy = SAFE\n"))
    settings_from(conf)
    assert [opt.name for opt in OPTS if is_set(conf, opt.name)] == ["policy"]


def test_every_option_is_read(written: Callable[[str], Path]) -> None:
    """Each option has a field, and each field has an option."""
    conf = parsed(
        written(
            """\
[clonepolicy]
policy = CINDER_29
mode = shadow
notes = decline
trusted_projects = p1,p2
trusted_image_pools = images,/images/,/
download_image_restricted = true
user_messages = true
show_multiple_locations = true
glance_stores = ceph=gold, old=a=b:ro
clone_weight_multiplier = 0.5
allow_unverified_cinder = true
"""
        )
    )
    assert settings_from(conf) == Settings(
        policy=CINDER_29,
        mode=Mode.SHADOW,
        notes=Notes.DECLINE,
        trusted_projects=frozenset({"p1", "p2"}),
        trusted_image_pools=frozenset({"images", "/images", "/"}),
        download_image_restricted=True,
        allow_unverified_cinder=True,
        user_messages=True,
        show_multiple_locations=True,
        glance_stores=(
            GlanceStore(id="ceph", cinder_volume_type="gold"),
            GlanceStore(id="old", cinder_volume_type="a=b", read_only=True),
        ),
        clone_weight_multiplier=0.5,
    )
    names = {field.name for field in attrs.fields(Settings)}
    assert names == {opt.name for opt in OPTS}
    unset = {name for name in names if not is_set(conf, name)}
    assert unset == {"set_image_location_restricted"}


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
    """An operator may write a policy."""
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
def test_an_unknown_policy_is_refused(
    written: Callable[[str], Path], name: str
) -> None:
    """The error names the option, its value and the valid values."""
    conf = parsed(written(f"[clonepolicy]\npolicy = {name}\n"))
    with pytest.raises(FactError) as caught:
        settings_from(conf)
    assert caught.value.field == "[clonepolicy] policy"
    assert caught.value.value == name
    assert "CINDER_28, CINDER_29 or the dotted path" in str(caught.value)


@pytest.mark.parametrize(
    "entry", ["gold", "=gold", "s1=", "s1=:ro", "s1=a,s1=b"]
)
def test_an_invalid_store_is_refused(
    written: Callable[[str], Path], entry: str
) -> None:
    """Each store has an id and a volume type, and is listed once."""
    conf = parsed(written(f"[clonepolicy]\nglance_stores = {entry}\n"))
    with pytest.raises(FactError, match="glance_stores: expected id=volume"):
        settings_from(conf)


@pytest.mark.parametrize(
    ("option", "value"),
    [("mode", "off"), ("notes", "Log"), ("user_messages", "perhaps")],
)
def test_an_invalid_value_is_refused(
    written: Callable[[str], Path], option: str, value: str
) -> None:
    """The error names the option and its value."""
    conf = parsed(written(f"[clonepolicy]\n{option} = {value}\n"))
    with pytest.raises(
        FactError, match=rf"\[clonepolicy\] {option}: .*{value}"
    ):
        settings_from(conf)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
def test_a_multiplier_is_finite(
    written: Callable[[str], Path], value: str
) -> None:
    """Another one would make weights that cannot be sorted."""
    path = written(f"[clonepolicy]\nclone_weight_multiplier = {value}\n")
    conf = parsed(path)
    with pytest.raises(FactError, match="clone_weight_multiplier: expected a"):
        settings_from(conf)


def test_list_opts_returns_copies() -> None:
    """Generators may change them."""
    ((group, opts),) = list_opts()
    assert group == "clonepolicy"
    assert opts == OPTS
    assert not {id(opt) for opt in opts} & {id(opt) for opt in OPTS}


def test_options_may_be_registered_twice() -> None:
    """Several backends share one process."""
    conf = cfg.ConfigOpts()
    register_opts(conf)
    register_opts(conf)
    assert conf.clonepolicy.mode == "enforce"


def test_the_generated_sample_has_the_defaults(tmp_path: Path) -> None:
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
