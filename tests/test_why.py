"""`clonepolicy why`: over HTTP, against a cloud shaped as the services."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("openstack", reason="needs clonepolicy[cloud]")
sys.path.insert(0, str(Path(__file__).parent))

from cli_support import assert_error, run
from clonepolicy import ForbiddenError
from clonepolicy.adapters.openstack import Cloud, CloudFacts, Gatherer
from clonepolicy.cli._why import why
from clonepolicy.policy import Policy
from clonepolicy.unknowns import Answer, judge
from cloud_server import (
    ADMINS,
    BACKING,
    CREATED,
    FAR,
    IMAGE,
    INTERNAL,
    NEAR,
    FakeCloud,
    running_cloud,
)

pytestmark = pytest.mark.filterwarnings(
    # openstacksdk warns of what it will remove whenever it is configured
    "ignore:Support for InfluxDB"
)
ASSUMED = {
    "allowed_direct_url_schemes": "cinder",
    "service_roles": "service,admin",
    "cinder_internal_tenant_project_id": INTERNAL,
    "cinder_internal_tenant_user_id": "somebody",
    "image_volume_cache_enabled": "false",
    "trusted_projects": "",
    "can_clone": "true",
    "can_extend": "true",
    "clone_in_use": "true",
    "clone_while_uploading": "true",
    "image_upload_use_cinder_backend": "true",
    "image_upload_use_internal_tenant": "true",
    "image_conversion_disable": "false",
}
"""What the operator knows of this cloud."""
CREATE = ("create", IMAGE, "--size", "2")
QUESTIONS = (CREATE, ("volume", CREATED), ("upload", CREATED))
MOST_REQUESTS = 15


def assume(**others: str | None) -> tuple[str, ...]:
    """Return the options that tell the operator's knowledge."""
    told = {k: v for k, v in {**ASSUMED, **others}.items() if v is not None}
    return tuple(x for k, v in told.items() for x in ("--assume", f"{k}={v}"))


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., FakeCloud]]:
    """Return a function that starts a cloud and names it ``here``."""
    # openstacksdk looks where it was imported first
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "here")
    opened: list[Any] = []

    def started(name: str = "here", **given: Any) -> FakeCloud:  # noqa: ANN401 - of FakeCloud
        running = running_cloud(**given)
        opened.append(running)
        cloud: FakeCloud = running.__enter__()
        cloud.clouds_yaml(tmp_path, name)
        return cloud

    yield started
    for running in opened:
        running.__exit__(None, None, None)


@pytest.fixture
def here(start: Callable[..., FakeCloud]) -> FakeCloud:
    """Start the usual cloud."""
    return start()


def ask(*args: str) -> tuple[int, dict[str, Any]]:
    """Ask, and return the exit code and the JSON."""
    result = run("why", *args, "--json")
    assert "" == result.stderr
    return result.exit_code, json.loads(result.stdout)


def by_pool(answer: dict[str, Any]) -> dict[str, str]:
    """Return the answer for each pool."""
    return {each["pool"]: each["answer"] for each in answer["pools"]}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q[0])
@pytest.mark.parametrize("roles", [ADMINS, {"admin"}, {"reader"}])
def test_nothing_but_get_is_sent(
    start: Callable[..., FakeCloud],
    question: tuple[str, ...],
    roles: frozenset[str],
) -> None:
    """Keystoneauth gets one token; 15 requests are enough for all else."""
    cloud = start(roles=frozenset(roles))

    ask(*question)

    assert {"GET"} == cloud.verbs()
    tokens = [path for _, path in cloud.asked if path.endswith("/tokens")]
    assert 1 == len(tokens)
    assert MOST_REQUESTS >= len(cloud.asked)
    assert len({*cloud.asked}) == len(cloud.asked), "asked twice"


def test_each_pool_has_its_answer(start: Callable[..., FakeCloud]) -> None:
    """The scheduler may choose either: together they are no yes."""
    start()

    code, answer = ask(*CREATE, *assume())

    assert {NEAR: "yes", FAR: "no"} == by_pool(answer)
    assert (6, "depends") == (code, answer["answer"])
    assert "SAFE clones on 1 of 2 pools, downloads on 1." in answer["summary"]
    near, far = answer["pools"]
    assert {"yes"} == {near["stock"][f"CINDER_{n}"] for n in (27, 28, 29)}
    assert "different-host" in far["reasons"]
    assert far["nearest"]


def test_the_answer_comes_first_for_people(
    start: Callable[..., FakeCloud],
) -> None:
    """Then the pools, the nearest way with who goes it, and what is taken."""
    start()

    shown = run("why", *CREATE, *assume(), columns=80).stdout

    assert shown.startswith("SAFE clones on 1 of 2 pools, downloads on 1.")
    parts = ("\npool ", NEAR, FAR, "The nearest way on ", "operator: ")
    places = [shown.index(part) for part in (*parts, "Taken for granted")]
    assert sorted(places) == places
    assert 80 >= max(map(len, shown.splitlines()))


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ((*CREATE, "--pool", NEAR), 0),
        ((*CREATE, "--pool", FAR), 1),
        (("create", IMAGE, "--size", "1000", "--pool", NEAR), 0),
        (("volume", CREATED), 0),
        (("upload", CREATED), 0),
        (("upload", CREATED, "--disk-format", "qcow2"), 1),
        ((*CREATE, "--pool", "no@such#pool"), 4),
        ((*CREATE, "--type", "platinum"), 4),
        (("create", "no-such-image", "--size", "1"), 4),
        (("upload", BACKING.replace("2", "9")), 4),
        (("volume", BACKING), 4),
    ],
)
def test_the_exit_code_is_the_answer(
    start: Callable[..., FakeCloud], question: tuple[str, ...], code: int
) -> None:
    """0 is efficient, 1 is not, 4 is not there."""
    start()

    result = run("why", *question, *assume(), "--json")

    assert code == result.exit_code, result.output


def test_a_refusal_exits_with_3(start: Callable[..., FakeCloud]) -> None:
    """Whatever the pool is."""
    cloud = start()
    cloud.image["status"] = "deactivated"

    code, answer = ask(*CREATE, *assume())

    assert (3, "refused") == (code, answer["answer"])
    assert "image-not-active" in answer["pools"][0]["reasons"]


def test_an_image_is_found_by_its_name(
    start: Callable[..., FakeCloud],
) -> None:
    """As openstackclient does."""
    start()

    _, answer = ask("create", "debian-13", "--size", "2", *assume())

    assert IMAGE == answer["image"]


def test_what_no_api_tells_makes_the_answer_depend(
    start: Callable[..., FakeCloud],
) -> None:
    """Each fact that matters is named, with the way to tell it."""
    start()

    code, answer = ask(*CREATE, "--pool", NEAR)

    assert 6 == code
    (pool,) = answer["pools"]
    told = {each["fact"]: each for each in pool["unknown"] if each["matters"]}
    fact = told["config.allowed_direct_url_schemes"]
    assert "unsupported" == fact["missing"]
    assert "allowed_direct_url_schemes=cinder" in fact["tell"]
    assert "glance.service_roles" in told
    assert told.keys() == {*pool["reasons"]}


def test_only_unknown_facts_that_matter_are_shown(
    start: Callable[..., FakeCloud],
) -> None:
    """A queued image is refused, whatever else is not known."""
    cloud = start(roles=frozenset({"member"}))
    cloud.image["status"] = "queued"

    result = run("why", *CREATE, columns=80)

    assert 3 == result.exit_code
    assert result.stdout.startswith("SAFE refuses.")
    assert "Not known" not in result.stdout


WEAK = (
    *("locations", "versions", "types", "encryption", "get_pools"),
    *("os-services", "os-quota-sets", "volumes/", "detail"),
)
"""A part of the path of each fact that may be missing."""
VARIATIONS: dict[str, Callable[[FakeCloud], object]] = {
    "as it is": lambda _: None,
    "qcow2": lambda cloud: cloud.image.update(disk_format="qcow2"),
    "queued": lambda cloud: cloud.image.update(status="queued"),
    "ownerless": lambda cloud: cloud.image.update(owner=None),
    "encrypted type": lambda cloud: cloud.encryption.update(encryption_id="e"),
    "in error": lambda cloud: cloud.volumes[BACKING].update(status="error"),
    "in use": lambda cloud: cloud.volumes[BACKING].update(status="in-use"),
    "foreign": lambda cloud: cloud.volumes[BACKING].update(
        {"os-vol-tenant-attr:tenant_id": "mallory"}
    ),
    "on a file": lambda cloud: (
        cloud.locations.__setitem__(
            0, {"url": "file:///var/lib/glance/images/1"}
        ),
        cloud.store.update(type="file"),
    ),
    "too large": lambda cloud: cloud.image.update(size=1 << 40),
}


@pytest.fixture
def answers(
    start: Callable[..., FakeCloud],
) -> Callable[..., dict[str, Answer]]:
    """Return a function that asks in this process, by policy."""
    from clonepolicy import POLICIES  # noqa: PLC0415 - the same for all
    from clonepolicy.cli._assume import read_assumptions  # noqa: PLC0415

    clouds: list[FakeCloud] = []

    def given(
        change: Callable[[FakeCloud], object],
        fails: dict[str, int],
        *,
        told: bool,
        roles: frozenset[str] = ADMINS,
        pool: str | None = NEAR,
    ) -> dict[str, Answer]:
        if not clouds:
            clouds.append(start())
        (cloud,) = clouds
        fresh = FakeCloud(url=cloud.url, fails=fails, roles=roles)
        for name in (
            *("image", "locations", "volumes", "encryption", "store"),
        ):
            setattr(cloud, name, getattr(fresh, name))
        cloud.fails, cloud.roles = fails, roles
        change(cloud)
        texts = [f"{k}={v}" for k, v in ASSUMED.items()] if told else []
        gatherer = Gatherer(
            facts=CloudFacts(Cloud.open("here")),
            assumed=read_assumptions(texts),
        )
        (case,) = gatherer.create(IMAGE, size=2, pool=pool)

        def answer(policy: Policy) -> Answer:
            return judge(case.request, case.unknowns, policy).answer

        return {name: answer(policy) for name, policy in POLICIES.items()}

    return given


@pytest.mark.parametrize(("at", "variation"), [*enumerate(VARIATIONS)])
def test_less_knowledge_never_gives_another_verdict(
    answers: Callable[..., dict[str, Answer]], at: int, variation: str
) -> None:
    """It only makes the answer depend: no guess is told as a fact."""
    change = VARIATIONS[variation]
    full = answers(change, {}, told=True)
    assert Answer.DEPENDS not in {full["SAFE"], full["CINDER_29"]}

    reader = frozenset({"reader"})
    paths = [path for path in WEAK if path != "types"]
    for fails, roles, told in (
        *(({path: 403}, ADMINS, True) for path in paths[at % 3 :: 3]),
        ({}, ADMINS, False),
        ({}, reader, True),
        ({}, reader, False),
    ):
        less = answers(change, fails, told=told, roles=roles)
        for policy, answer in less.items():
            assert answer in {full[policy], Answer.DEPENDS}, (policy, fails)

    # a reader sees no pools: an answer is one for all of them
    far = answers(change, {}, told=True, pool=FAR)
    less = answers(change, {}, told=True, roles=reader, pool=None)
    for policy, answer in less.items():
        assert {answer} in ({full[policy], far[policy]}, {Answer.DEPENDS})


@pytest.mark.parametrize("status", [403, 404, 500, 501])
@pytest.mark.parametrize("path", WEAK)
def test_a_fact_fails_by_itself(
    start: Callable[..., FakeCloud], path: str, status: int
) -> None:
    """An answer comes all the same, unless the type itself is not read."""
    cloud = start()
    cloud.fails = {path: status}

    result = run("why", *CREATE, "--pool", NEAR, *assume(), "--json")

    if path == "types":
        assert {403: 7, 404: 4, 500: 7, 501: 7}[status] == result.exit_code
    elif (path, status) == ("get_pools", 404):
        assert 4 == result.exit_code or "pools" in result.stdout
    else:
        assert result.exit_code in {0, 1, 6}, result.output
        assert result.exit_code == 0 or json.loads(result.stdout)["pools"]


@pytest.mark.parametrize("path", ["/v2/images/", "/tokens"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_cloud_that_does_not_answer_exits_with_7(
    start: Callable[..., FakeCloud], path: str, status: int
) -> None:
    """Without the image nothing can be said; no password is told."""
    cloud = start()
    cloud.fails = {path: status}

    result = run("why", *CREATE)

    assert_error(7, "", result)
    assert "secret" not in result.stderr


def test_a_service_that_is_slow_is_asked_once(
    start: Callable[..., FakeCloud],
) -> None:
    """The time that one request may take is that of clouds.yaml."""
    cloud = start()
    cloud.slow = {"get_pools": 3.0}

    code, answer = ask(*CREATE, "--pool", NEAR, *assume())

    assert 6 == code
    asked = [path for _, path in cloud.asked if "/volume/" in path]
    assert 1 == sum("get_pools" in path for path in asked)
    assert "get_pools" in asked[-1]
    facts = {each["fact"] for each in answer["pools"][0]["unknown"]}
    assert "backend.frozen" in facts


def test_no_server_exits_with_7(
    start: Callable[..., FakeCloud], tmp_path: Path
) -> None:
    """Its URL, which may have a password, is not told."""
    cloud = start()
    cloud.url = "http://u:secret@127.0.0.1:9"
    cloud.clouds_yaml(tmp_path)

    result = run("why", *CREATE)

    assert_error(7, "no answer", result)
    assert "secret" not in result.stderr


def test_an_unknown_cloud_is_wrong_usage(
    start: Callable[..., FakeCloud],
) -> None:
    """The error names the option."""
    start()

    assert_error(2, "--os-cloud", run("why", *CREATE, "--os-cloud", "nope"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "FACT=VALUE"),
        ("config.nonsense=1", "FACT=VALUE"),
        ("can_clone=perhaps", "backend.can_clone"),
        ("min_disk=-1", "image.min_disk"),
    ],
)
def test_a_wrong_assumption_is_named(
    start: Callable[..., FakeCloud], text: str, message: str
) -> None:
    """One error names field, value and what was expected."""
    start()

    assert_error(2, message, run("why", *CREATE, "--assume", text))


def test_an_assumption_that_is_told_twice_is_refused(
    start: Callable[..., FakeCloud],
) -> None:
    """By either of its names."""
    start()
    twice = ("--assume", "can_clone=true", "--assume", "backend.can_clone=no")

    assert_error(2, "backend.can_clone once", run("why", *CREATE, *twice))


def test_the_tenants_own_view_decides_what_the_tenant_sees(
    start: Callable[..., FakeCloud],
) -> None:
    """The image is read with the tenant's token, all else with the admin's."""
    start()
    tenant = start("bob", roles=frozenset({"member"}), project="bob")
    as_bob = ("--as-cloud", "bob")

    _, answer = ask(*CREATE, "--pool", NEAR, *assume(), *as_bob)
    assert (
        "bob"
        == answer["pools"][0]["decision"]["request"]["volume"]["project_id"]
    )
    assert "yes" == answer["answer"]

    tenant.image["id"] = "0e5b8f3a-0000-4000-8000-00000000000f"
    tenant.image["name"] = "another"
    result = run("why", *CREATE, *as_bob)
    assert_error(4, f"image {IMAGE}", result)


def test_an_image_is_visible_to_the_projects_it_is_shared_with(
    start: Callable[..., FakeCloud],
) -> None:
    """Glance's list of members says so."""
    start()
    to = ("--pool", NEAR, *assume())

    assert 0 == ask(*CREATE, *to, "--project", "bob")[0]
    code, answer = ask(*CREATE, *to, "--project", "carol")

    assert 3 == code
    assert "image-not-visible" in answer["pools"][0]["reasons"]


def test_a_saved_request_is_decided_to_the_same_bytes(
    start: Callable[..., FakeCloud], tmp_path: Path
) -> None:
    """With the least that the unknown facts can grant."""
    start()
    path = tmp_path / "request.json"

    for more in ((), assume()):
        _, answer = ask(*CREATE, "--pool", NEAR, *more, "--save", str(path))
        replayed = run("decide", "create", str(path), "--json")

        decision = answer["pools"][0]["decision"]
        assert json.dumps(decision, indent=2) + "\n" == replayed.stdout


def test_a_request_of_several_pools_is_not_saved(
    start: Callable[..., FakeCloud], tmp_path: Path
) -> None:
    """One is to be chosen."""
    start()
    path = tmp_path / "request.json"

    result = run("why", *CREATE, "--save", str(path))

    assert_error(2, "--pool", result)
    assert not path.exists()


def test_a_pool_that_reports_what_it_can_needs_no_file(
    start: Callable[..., FakeCloud],
) -> None:
    """The drop-in reports it."""
    cloud = start()
    cloud.pools[0]["capabilities"].update(
        can_clone=True, can_extend=True, image_volume_cache_enabled=False
    )
    told = assume(
        can_clone=None, can_extend=None, image_volume_cache_enabled=None
    )

    assert 0 == ask(*CREATE, "--pool", NEAR, *told)[0]


def test_a_frozen_service_is_seen(start: Callable[..., FakeCloud]) -> None:
    """Cinder's scheduler does not use it, and SAFE does not clone there."""
    cloud = start()
    cloud.frozen = True

    code, answer = ask(*CREATE, "--pool", NEAR, *assume())

    assert 1 == code
    assert "backend-frozen" in answer["pools"][0]["reasons"]


def test_an_image_in_ceph_is_cloned_in_its_cluster(
    start: Callable[..., FakeCloud],
) -> None:
    """The driver is known by the protocol; the image is taken to be there."""
    cloud = start()
    fsid = "1a2b3c4d-0000-4000-8000-00000000000f"
    cloud.pools[0]["capabilities"].update(
        storage_protocol="ceph",
        location_info=f"ceph:/etc/ceph/ceph.conf:{fsid}:cinder:volumes",
    )
    cloud.locations = [{"url": f"rbd://{fsid}/images/{IMAGE}/snap"}]
    told = assume(
        can_clone=None, can_extend=None, trusted_image_pools="images"
    )

    code, answer = ask(*CREATE, "--pool", NEAR, *told)

    assert (0, "array-image") == (
        code,
        answer["pools"][0]["decision"]["route"],
    )


def test_a_volume_of_another_project_is_not_told_as_absent(
    start: Callable[..., FakeCloud],
) -> None:
    """Cinder answers 404 for what it hides."""
    start(roles=frozenset({"member"}))

    facts = CloudFacts(Cloud.open("here"))
    with pytest.raises(ForbiddenError):
        facts.volume(BACKING)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda more: (
        st.lists(more, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["images", "volume_types", "pools", "services", "quota_set"]
            ),
            more,
            max_size=2,
        )
    ),
    max_leaves=4,
)


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    body=anything,
    at=st.sampled_from(("/images/", *WEAK, "role_assignments", "members")),
)
def test_any_answer_is_read_or_told_as_an_error(
    here: FakeCloud, body: object, at: str
) -> None:
    """A service that answers something else is no defect of the program."""
    here.replaced = {at: body}

    result = run("why", *CREATE, "--project", "bob", "--pool", NEAR)

    assert result.exit_code in {0, 1, 3, 4, 6, 7}, result.output


LINE = (
    "2026-11-28 20:00:00.000 7 INFO clonepolicy.adapters [-] clonepolicy "
    "operation=create verdict=download policy=SAFE/2 mode=enforce "
    f"image={IMAGE} volume={CREATED} reasons=owner-mismatch,scheme-unsupported"
    ' notes=- decision=7f decided="clone"'
)


def test_a_line_of_the_log_is_explained() -> None:
    """No cloud is asked."""
    result = run("why", "--log", LINE)

    assert 1 == result.exit_code
    assert result.stdout.startswith("SAFE/2: download ")
    assert "the policy itself decided: clone" in result.stdout
    assert "  - owner-mismatch: " in result.stdout
    fields = json.loads(run("why", "--log", LINE, "--json").stdout)
    assert ["owner-mismatch", "scheme-unsupported"] == [
        each["reason"] for each in fields["reasons"]
    ]
    assert all(each["remedies"] for each in fields["reasons"])


def test_another_line_is_refused() -> None:
    """It is shown escaped."""
    result = run("why", "--log", "clonepolicy started=\x1b[31m")

    assert_error(2, "not a line about a decision", result)
    assert "\x1b" not in result.stderr


def test_why_alone_says_what_to_ask() -> None:
    """It is wrong usage."""
    assert_error(2, "ask create, upload or volume", run("why"))


def test_the_clones_quota_is_that_of_the_project_that_will_own_it(
    start: Callable[..., FakeCloud],
) -> None:
    """Which it is depends on cinder.conf."""
    cloud = start()
    told = assume(image_upload_use_internal_tenant=None)

    _, answer = ask("upload", CREATED, *told)
    assert "clone_quota" in answer["pools"][0]["reasons"]
    assert not any("os-quota-sets/alice" in path for _, path in cloud.asked)

    ask("upload", CREATED, *assume())
    assert any(f"os-quota-sets/{INTERNAL}" in path for _, path in cloud.asked)


ADMIN = frozenset({"admin"})


def test_an_admin_without_the_role_service_gets_an_answer(
    start: Callable[..., FakeCloud],
) -> None:
    """The volume of a cinder store names its image."""
    cloud = start(roles=ADMIN)

    code, answer = ask(*CREATE, "--pool", NEAR, *assume())

    assert 0 == code
    (candidate,) = answer["pools"][0]["decision"]["candidates"]
    assert f"cinder://volumes/{BACKING}" == candidate["candidate"]
    taken = {each["fact"] for each in answer["taken_for_granted"]}
    assert "image.locations" in taken
    assert MOST_REQUESTS >= len(cloud.asked)


def test_two_volumes_that_name_one_image_prove_nothing(
    start: Callable[..., FakeCloud],
) -> None:
    """Anybody may write the metadata of an own volume."""
    cloud = start(roles=ADMIN)
    cloud.volumes[CREATED]["metadata"] = {"glance_image_id": IMAGE}

    code, answer = ask(*CREATE, "--pool", NEAR, *assume())

    assert (6, ["image.locations"]) == (code, answer["pools"][0]["reasons"])


@pytest.mark.parametrize("kind", ["file", "swift"])
def test_an_image_of_another_store_has_no_volume(
    start: Callable[..., FakeCloud], kind: str
) -> None:
    """Its store has another type."""
    cloud = start(roles=ADMIN)
    cloud.store = {"id": "volumes", "type": kind, "properties": {}}

    code, answer = ask(*CREATE, "--pool", NEAR, *assume())

    assert (1, "no-locations") == (code, answer["pools"][0]["reasons"][0])


CONF = f"""\
[DEFAULT]
enabled_backends = nvme,disk
allowed_direct_url_schemes = cinder
cinder_internal_tenant_project_id = {INTERNAL}
cinder_internal_tenant_user_id = u
[glance]
auth_type = password
username = cinder
[nvme]
volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver
[disk]
volume_driver = cinder.volume.drivers.nfs.NfsDriver
[backend_defaults]
image_upload_use_cinder_backend = true
image_upload_use_internal_tenant = true
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A cinder.conf of two backends."""
    path = tmp_path / "cinder.conf"
    path.write_text(CONF)
    return path


def test_a_file_tells_what_no_api_does(
    start: Callable[..., FakeCloud], conf: Path
) -> None:
    """Options, drivers, and the user whose roles keystone tells."""
    cloud = start()

    code, answer = ask(*CREATE, "--cinder-conf", str(conf))

    assert {NEAR: "yes", FAR: "no"} == by_pool(answer)
    assert 6 == code
    assert MOST_REQUESTS >= len(cloud.asked)
    assert 0 == ask("upload", CREATED, "--cinder-conf", str(conf))[0]


PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "why.md"


def test_the_page_shows_what_is_shown(
    start: Callable[..., FakeCloud], conf: Path
) -> None:
    """The example of the page, on this cloud."""
    start()
    question = ("create", "debian-13", "--type", "gold", "--size", "2")

    shown = run(
        *("why", *question, "--cinder-conf", str(conf)), columns=80
    ).stdout

    assert f"```text\n{shown}```" in PAGE.read_text("utf-8")


def test_a_file_without_a_user_for_glance_gives_no_roles(
    start: Callable[..., FakeCloud], conf: Path
) -> None:
    """Cinder then asks with the requester's token, and sees no locations."""
    cloud = start()
    conf.write_text(CONF.replace("auth_type = password\n", ""))

    code, answer = ask(*CREATE, "--pool", NEAR, "--cinder-conf", str(conf))

    assert (1, ["locations-hidden"]) == (code, answer["pools"][0]["reasons"])
    assert not any("role_assignments" in path for _, path in cloud.asked)


def test_one_backend_of_a_file_stands_for_all(
    start: Callable[..., FakeCloud], conf: Path
) -> None:
    """Those who may not list pools name it."""
    start(roles=frozenset({"member"}))

    for name in ("nvme", "disk"):
        _, answer = ask(*CREATE, "--cinder-conf", f"{conf}:{name}")
        told = {each["fact"] for each in answer["pools"][0]["unknown"]}
        assert "config.allowed_direct_url_schemes" not in told
        assert "backend.can_clone" not in told


def test_a_wrong_file_or_backend_is_named(
    start: Callable[..., FakeCloud], conf: Path
) -> None:
    """Also an option with an invalid value."""
    start()
    backend = run("why", *CREATE, "--cinder-conf", f"{conf}:tape")
    assert_error(2, "one of enabled_backends, nvme, disk", backend)
    missing = run("why", *CREATE, "--cinder-conf", f"{conf}x")
    assert_error(2, f"{conf}x", missing)
    conf.write_text(CONF.replace("_backend = true", "_backend = perhaps"))
    invalid = run("why", *CREATE, "--cinder-conf", str(conf))
    assert_error(2, "image_upload_use_cinder_backend", invalid)


def _examples(command: Any = why) -> Iterator[str]:  # noqa: ANN401 - a command of click
    for line in (command.epilog or "").splitlines():
        if line.startswith("  clonepolicy"):
            yield line.strip()
    for below in getattr(command, "commands", {}).values():
        yield from _examples(below)


@pytest.mark.parametrize("example", dict.fromkeys(_examples()))
def test_every_example_of_the_help_is_answered(
    start: Callable[..., FakeCloud],
    conf: Path,
    example: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where its cloud, its file and its volume exist."""
    cloud = start()
    cloud.clouds_yaml(conf.parent, "admin")
    monkeypatch.chdir(conf.parent)
    volume = "6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293"
    cloud.volumes[volume] = {**cloud.volumes[CREATED], "id": volume}

    result = run(*shlex.split(example)[1:])

    assert ("", True) == (result.stderr, result.exit_code in {0, 1, 6})
