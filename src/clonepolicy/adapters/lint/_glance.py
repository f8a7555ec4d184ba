"""The checks that need glance-api.conf, alone or beside cinder.conf."""

from __future__ import annotations

from collections.abc import Iterator

from clonepolicy import Reason
from clonepolicy.adapters.conf import CinderConf, GlanceConf, Value
from clonepolicy.adapters.lint._asked import (
    TENANT,
    has_glance_user,
    has_tenant,
    with_upload,
)
from clonepolicy.adapters.lint._check import (
    Check,
    Estate,
    Level,
    Need,
    Spot,
    spot,
)

_CREATES = "Every volume from an image takes minutes"
_QUEUED = "An image stays queued, or the registration is rejected"
_UNSAFE = "Images are cloned, but the result is not safe"
_SHOWS, _URL = "show_multiple_locations", "show_image_direct_url"
_PUBLIC = "publicURL"


def _hides(glance: GlanceConf) -> bool:
    return not any(glance.value(name).value for name in (_SHOWS, _URL))


def _hidden(estate: Estate) -> Iterator[Spot]:
    if not all(map(_hides, estate.glance)):
        return
    for conf in estate.volume_hosts:
        if not has_glance_user(conf):
            told = (glance.value(_URL) for glance in estate.glance)
            yield spot(conf, conf.value("auth_type", "glance"), *told)


def _no_direct_url(estate: Estate) -> Iterator[Spot]:
    if estate.volume_hosts and all(map(has_glance_user, estate.volume_hosts)):
        return
    for glance in estate.glance:
        shows, url = glance.value(_SHOWS), glance.value(_URL)
        if shows.value and not url.value:
            yield spot(glance, shows, url)


def _complete_stores(estate: Estate) -> Iterator[tuple[GlanceConf, Value]]:
    for glance in estate.glance:
        for store in glance.cinder_stores:
            if not glance.missing_credentials(store):
                yield glance, glance.value("cinder_store_project_name", store)


def _other_project(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend, _ in with_upload(conf):
            internal = conf.value("image_upload_use_internal_tenant", backend)
            tenant = conf.value(TENANT[0])
            for glance, project in _complete_stores(estate):
                if not project.value:
                    continue  # an application credential has its own
                if internal.value and has_tenant(conf):
                    if not _is_another(estate, project, tenant):
                        continue
                    whose = f"the internal tenant {tenant.shown}"
                else:
                    whose = "the project of each user"
                yield spot(
                    glance,
                    project,
                    internal,
                    tenant,
                    backend=backend,
                    whose=whose,
                )


def _is_another(estate: Estate, project: Value, tenant: Value) -> bool:
    if estate.cloud is None:
        return False
    return estate.cloud.project_id(str(project.value)) != tenant.value


def _incomplete(estate: Estate) -> Iterator[Spot]:
    for glance in estate.glance:
        for store in glance.cinder_stores:
            missing = glance.missing_credentials(store)
            if missing:
                values = [glance.value(name, store) for name in missing]
                yield spot(
                    glance, *values, store=store, names=", ".join(missing)
                )


def _user_writable(estate: Estate) -> Iterator[Spot]:
    for glance in estate.glance:
        value = glance.value(_SHOWS)
        if value.value:
            yield spot(glance, value)


def _no_hash(estate: Estate) -> Iterator[Spot]:
    for glance in estate.glance:
        value = glance.value("do_secure_hash")
        if not value.value:
            yield spot(glance, value)


def _cannot_scrub(estate: Estate) -> Iterator[Spot]:
    for glance in estate.glance:
        value = glance.value("delayed_delete")
        for store in glance.cinder_stores:
            missing = glance.missing_credentials(store)
            if value.value and missing:
                values = (glance.value(name, store) for name in missing)
                yield spot(glance, value, *values, store=store)


def _api_of_users(conf: CinderConf, glance: GlanceConf) -> Value | None:
    """Return the option by which Cinder uses the API that users reach."""
    servers = conf.value("glance_api_servers")
    if not servers.value:
        catalog = conf.value("glance_catalog_info")
        return catalog if str(catalog.value).endswith(_PUBLIC) else None
    named = servers.value if isinstance(servers.value, tuple) else ()
    public = str(glance.value("public_endpoint").value or "").rstrip("/")
    return servers if public in {s.rstrip("/") for s in named} else None


def _one_api(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for glance in estate.glance:
            shows, used = glance.value(_SHOWS), _api_of_users(conf, glance)
            if shows.value and used is not None:
                yield spot(conf, used, shows, where=shows_where(shows, glance))


def shows_where(value: Value, glance: GlanceConf) -> str:
    """Return the file of an option of Glance, with its line."""
    at = value.assignment
    return glance.paths[0] if at is None else f"{at.file}:{at.line}"


CHECKS = (
    Check(
        id="X2",
        level=Level.OFF,
        needs=(Need.CINDER, Need.GLANCE),
        message="Cinder sees no locations: Glance shows them to no user, "
        "and Cinder has no user in [glance] that may ask the locations API.",
        remedy="set auth_type and the user in [glance] of cinder.conf, with "
        "the roles service and admin",
        reasons=(Reason.LOCATIONS_HIDDEN,),
        section=_CREATES,
        find=_hidden,
    ),
    Check(
        id="X3",
        level=Level.OFF,
        needs=(Need.GLANCE,),
        message="Glance shows locations but not the direct URL. Without a "
        "user in [glance] of cinder.conf, unchanged Cinder then ignores the "
        "locations.",
        remedy="give Cinder a user in [glance] with the roles service and "
        "admin, and set show_multiple_locations = False",
        reasons=(
            Reason.LOCATIONS_HIDDEN_NO_DIRECT_URL,
            Reason.LOCATIONS_USER_WRITABLE,
        ),
        section=_CREATES,
        find=_no_direct_url,
    ),
    Check(
        id="X10",
        level=Level.BROKEN,
        needs=(Need.CINDER, Need.GLANCE),
        to_pass=(Need.PROJECTS,),
        message="Uploads from {backend} are registered as volumes of "
        "{whose}, and Glance's store looks for them in its project {value}. "
        "Glance rejects the registration, unless the store's user has the "
        "role admin.",
        remedy="register in the internal tenant, and set "
        "cinder_store_project_name to this project",
        section=_QUEUED,
        find=_other_project,
    ),
    Check(
        id="X11",
        level=Level.INSECURE,
        needs=(Need.GLANCE,),
        message="The store {store} lacks {names}: Glance uses the token of "
        "each caller, and image volumes are in users' projects.",
        remedy="set all four of cinder_store_auth_address, "
        "cinder_store_user_name, cinder_store_password and "
        "cinder_store_project_name",
        reasons=(Reason.TENANT_MUTABLE, Reason.OWNER_MISMATCH),
        section=_UNSAFE,
        find=_incomplete,
    ),
    Check(
        id="X12",
        level=Level.INSECURE,
        needs=(Need.GLANCE,),
        message="Users who reach this Glance can write the locations of "
        "their images, and so decide whose data is cloned.",
        remedy="set show_multiple_locations = False on each Glance that "
        "users reach",
        reasons=(Reason.LOCATIONS_USER_WRITABLE,),
        section=_UNSAFE,
        find=_user_writable,
    ),
    Check(
        id="X21",
        level=Level.INSECURE,
        needs=(Need.GLANCE,),
        message="An image whose location is registered gets no hash.",
        remedy="set do_secure_hash = True",
        section=_UNSAFE,
        find=_no_hash,
    ),
    Check(
        id="X24",
        level=Level.BROKEN,
        needs=(Need.GLANCE,),
        message="Volumes of deleted images stay: images are deleted later, "
        "and then Glance has no token for the store {store}.",
        remedy="set the credentials cinder_store_* of the store",
        section="Volumes of deleted images stay",
        find=_cannot_scrub,
    ),
    Check(
        id="X34",
        level=Level.INSECURE,
        needs=(Need.CINDER, Need.GLANCE),
        message="Cinder uses the Glance that users reach, and this Glance "
        "shows locations ({where}): users can write them, and Cinder uses "
        "what they write.",
        remedy="run a second glance-api for services, name it in "
        "glance_api_servers, and set show_multiple_locations = False on the "
        "one that users reach",
        reasons=(Reason.LOCATIONS_USER_WRITABLE,),
        section=_UNSAFE,
        find=_one_api,
    ),
)
