"""The roles of the user of ``[glance]``, whose token is kept."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

from keystoneauth1.access import AccessInfoV3
from keystoneauth1.fixture import V3Token
from keystoneauth1.identity import V3Password

from clonepolicy.adapters.cinder import _images


class Plugin(V3Password):  # type: ignore[misc] # untyped
    """Credentials with the roles that keystone knows of at the moment."""

    def __init__(self, *roles: str) -> None:
        super().__init__(
            "http://keystone.example/v3", "any", username="cinder"
        )
        self.roles = roles
        self.fetched = 0

    def get_auth_ref(self, _session: object, **_more: object) -> Any:
        """Fetch a token."""
        self.fetched += 1
        token = V3Token(project_id="p")
        for name in self.roles:
            token.add_role(name=name)
        return AccessInfoV3(token, "token")


def roles(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the roles as a request sees them."""
    monkeypatch.setattr(_images, "_service_auth", lambda: plugin)
    return _images._service_roles(None)


def test_a_role_that_is_given_later_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a restart of cinder-volume."""
    plugin = Plugin("admin")
    assert roles(plugin, monkeypatch) == ["admin"]
    assert plugin.fetched == 1
    plugin.roles = ("admin", "service")
    assert roles(plugin, monkeypatch) == ["admin", "service"]


def test_a_token_with_both_roles_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is fetched once."""
    plugin = Plugin("admin", "service")
    for _ in range(3):
        assert roles(plugin, monkeypatch) == ["admin", "service"]
    assert plugin.fetched == 1
