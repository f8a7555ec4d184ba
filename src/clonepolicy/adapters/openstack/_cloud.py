"""One cloud as one of its users sees it, by openstacksdk; it only reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import attrs
import openstack.config
from keystoneauth1 import exceptions
from openstack.exceptions import ConfigException

from clonepolicy import (
    AdapterError,
    FactError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)

T = TypeVar("T")
TIMEOUT = 20.0
"""Seconds that one request may take, unless clouds.yaml says otherwise."""
_MICROVERSION = {"OpenStack-API-Version": "volume 3.65"}
"""Cinder 16 and later have it; 3.64 shows the keys of volumes."""
_KINDS: Mapping[int, type[AdapterError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    406: UnsupportedError,
    501: UnsupportedError,
}
_FORBIDDEN = (exceptions.Unauthorized, exceptions.Forbidden)
_WRONG_AUTH = (exceptions.AuthPluginException, exceptions.OptionError)
_SERVER_ERROR = 500
_CLIENT_ERROR = 400


@attrs.define(kw_only=True)
class Cloud:
    """The services of a cloud; it has no other verb than GET.

    keystoneauth gets a token by POST when the first request is made.  A
    service that did not answer is not asked again.
    """

    name: str
    _region: Any = attrs.field(alias="region", repr=False)
    _tell: Callable[[str], object] = attrs.field(alias="tell", repr=False)
    _silent: dict[str, UnavailableError] = attrs.field(factory=dict)

    @classmethod
    def open(
        cls, name: str | None, tell: Callable[[str], object] = lambda _: None
    ) -> Self:
        """Find a cloud of clouds.yaml or, for None, of the environment.

        ``tell`` is called with what is read, before each request.

        Raises:
            FactError: there is no such cloud, or its entry is not valid.
        """
        try:
            region = openstack.config.OpenStackConfig().get_one(cloud=name)
            if region.config.get("api_timeout") is None:
                region.config["api_timeout"] = TIMEOUT
            region.get_session()
        except (ConfigException, *_WRONG_AUTH) as error:
            expected = f"a cloud of clouds.yaml ({_first_line(error)})"
            raise FactError("--os-cloud", name, expected) from None
        return cls(name=region.name, region=region, tell=tell)

    @property
    def project_id(self) -> str | None:
        """The project of the token; None: the token is for no project.

        Raises:
            AdapterError: keystone gives no token.
        """
        found: str | None = self._asked(
            "identity", "the token", self._session.get_project_id
        )
        return found

    @property
    def is_admin(self) -> bool:
        """Whether the token has the role admin.

        Raises:
            AdapterError: keystone gives no token.
        """
        session = self._session
        found = self._asked(
            "identity",
            "the token",
            lambda: session.auth.get_access(session).role_names,
        )
        return "admin" in found

    @property
    def _session(self) -> Any:  # noqa: ANN401 - keystoneauth has no types
        return self._region.get_session()

    def get(
        self, service: str, *path: str, **query: object
    ) -> Mapping[str, Any]:
        """Read a resource: the JSON object at a path below the endpoint.

        Raises:
            ForbiddenError: this user may not read it.
            NotFoundError: it is not there, or not shown to this user.
            UnavailableError: the service did not answer, or has failed.
            UnsupportedError: the cloud has no such service.
            AdapterError: the answer is another error, or no JSON object.
        """
        found: Mapping[str, Any] = self._get(dict, service, path, query)
        return found

    def get_list(self, service: str, *path: str) -> list[Any]:
        """Read a resource that is a JSON list; raises as `get`."""
        found: list[Any] = self._get(list, service, path, {})
        return found

    def _get(
        self,
        kind: type[T],
        service: str,
        path: tuple[str, ...],
        query: Mapping[str, object],
    ) -> T:
        below = "/".join(quote(part, safe="") for part in path)
        what = f"{service}: {below}"
        if service in self._silent:
            raise self._silent[service]
        try:
            response = self._asked(
                service, what, lambda: self._send(service, below, query)
            )
        except UnavailableError as error:
            self._silent[service] = error
            raise
        status = response.status_code
        if status >= _CLIENT_ERROR:
            expected = _KINDS.get(status, AdapterError)
            if status >= _SERVER_ERROR and expected is AdapterError:
                expected = UnavailableError
            raise expected(f"{what}: HTTP {status}")
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, kind):
            raise AdapterError(f"{what}: the answer is no JSON as documented")
        return body

    def _send(
        self, service: str, below: str, query: Mapping[str, object]
    ) -> Any:  # noqa: ANN401 - requests has no types here
        region, session = self._region, self._session
        self._tell(f"reading {service} {below}")
        endpoint = region.get_endpoint(service) or session.get_endpoint(
            service_type=region.get_service_type(service),
            interface=region.get_interface(service),
            region_name=region.get_region_name(service),
            service_name=region.get_service_name(service),
        )
        if endpoint is None:
            raise UnsupportedError(f"the cloud has no service {service}")
        root = endpoint.rstrip("/")
        if service in _VERSIONED:
            root = root.removesuffix(_VERSIONED[service])
        url = f"{root}/{below}" + (f"?{urlencode(query)}" if query else "")
        return session.get(
            url,
            headers=_MICROVERSION if service == "block-storage" else None,
            raise_exc=False,
            connect_retries=0,
        )

    def _asked(self, service: str, what: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - of keystoneauth
        """Ask, and raise every error of keystoneauth as an `AdapterError`.

        What keystoneauth says of an error may contain URLs with passwords:
        only its class is told.
        """
        try:
            return ask()
        except AdapterError:
            raise
        except _FORBIDDEN as error:
            why = f"{what}: keystone refuses {self.name} ({_kind(error)})"
            raise ForbiddenError(why) from None
        except (exceptions.CatalogException, *_WRONG_AUTH) as error:
            why = f"{what}: no {service} in the catalog ({_kind(error)})"
            raise UnsupportedError(why) from None
        except (exceptions.ClientException, OSError) as error:
            why = f"{what}: no answer ({_kind(error)})"
            raise UnavailableError(why) from None


_VERSIONED = {"image": "/v2", "identity": "/v3"}
"""The version that a catalog may or may not have at the end of a URL."""


def _kind(error: Exception) -> str:
    return type(error).__name__


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
