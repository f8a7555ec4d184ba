"""YAML in and out: the same as JSON, and nothing more."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from cli_support import CREATE, assert_error, run
from clonepolicy import FactError, _terminal, wire
from clonepolicy._terminal.yaml import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=9,
)


@given(VALUES)
def test_what_is_written_is_read(value: object) -> None:
    """Texts that look like dates, numbers or booleans stay texts."""
    assert value == loads(dumps(value))
    assert dumps(value).isascii()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("2026-01-01", "2026-01-01"),
        ("12:30:00", "12:30:00"),
        ("0o17", "0o17"),
        ("017", 17),
        ("1e3", 1000.0),
        ("TRUE", True),
        ("~", None),
        ("a:", {"a": None}),
        ("{a: [1, 'x']}", {"a": [1, "x"]}),
    ],
)
def test_plain_texts_mean_what_they_mean_in_yaml_1_2(
    text: str, value: object
) -> None:
    """No country is false, and no time a number."""
    found = loads(text)
    assert (type(value), value) == (type(found), found)


BOMB = "a: &a [x, x]\n" + "\n".join(
    f"{new}: &{new} [*{old}, *{old}]"
    for old, new in zip("ab", "bc", strict=True)
)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("no alias", BOMB),
        ("no alias", "a: &a [*a]"),
        ("not twice", "a: 1\na: 2"),
        ("a text as a key", "1: 2"),
        ("a text as a key", "? [a]\n: 2"),
        ("at most", "x" * ((1 << 20) + 1)),
        ("less nesting", "[" * 100_000),
        ("could not determine a constructor", "!!python/object:os.system x"),
        ("could not determine a constructor", "!!set {a}"),
        ("YAML", "a: [1"),
        ("YAML", "\0"),
        ("YAML", "a: 1\n---\nb: 2"),
    ],
)
def test_yaml_that_is_more_than_json_is_refused(
    expected: str, text: str
) -> None:
    """With the line, and before it takes time or memory."""
    with pytest.raises(FactError, match=expected):
        loads(text)


def test_decide_and_explain_read_and_write_yaml(tmp_path: Path) -> None:
    """A decision in YAML is explained as the same one in JSON."""
    request, stored = tmp_path / "r.yaml", tmp_path / "d.yml"
    request.write_text(dumps(wire.to_dict(CREATE)))
    decided = run("decide", "create", str(request), "--yaml")
    stored.write_text(decided.stdout)
    as_json = run("decide", "create", str(request), "--json").stdout

    assert json.loads(as_json) == yaml.safe_load(decided.stdout)
    explained = run("explain", str(stored))
    assert run("decide", "create", str(request)).stdout == explained.stdout
    shown = run("explain", "cache-miss", "--yaml").stdout
    assert "cache-miss" == yaml.safe_load(shown)["reason"]


def test_bad_yaml_is_one_line(tmp_path: Path) -> None:
    """It names file and place."""
    path = tmp_path / "r.yaml"
    path.write_text("image: &x {}\nvolume: *x\n")

    assert_error(2, "r.yaml: line 2", run("decide", "create", str(path)))


def test_yaml_without_pyyaml_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the extra."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "clonepolicy._terminal.yaml")
    monkeypatch.delattr(_terminal, "yaml")
    path = tmp_path / "r.yaml"
    path.write_text("a: 1")

    for args in (("decide", "create", str(path)), ("explain", "X1", "--yaml")):
        assert_error(2, "install clonepolicy[yaml]", run(*args))
