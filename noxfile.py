"""Everything that is run on this project, each by one word."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "tests", "docs"]

PROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS = nox.project.python_versions(PROJECT)
GROUPS = PROJECT["dependency-groups"]
EVERYTHING = "cli,testing,lint,cloud,yaml"
OPENSTACK = ("3.11", "3.12", "3.13")  # what cinder 29 says it runs on
OURS = "error:::clonepolicy"
DEBIAN = (
    *("qemu-utils", "bubblewrap"),
    *("xfsprogs", "btrfs-progs", "e2fsprogs"),
    *("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common"),
    *("python3-rados", "python3-rbd"),
)
"""What the tests with real arrays take."""
PURE = (
    *("_text", "_errors", "_facts/*", "policy/*", "policy/_rules/*"),
    *("plan/*", "_decide/*"),
)
"""The modules that decide, which are held to full branch coverage."""


TESTS = Path("tests")
UPSTREAM = "tests/openstack/upstream/run.py"
FEW = {"CLONEPOLICY_PROFILE": "few"}
"""Draws a fifth of the examples: the tests on the oldest Python draw all."""
LAWS = ("test_laws*.py", "test_agreed*.py", "test_wire*.py")
CORE = (
    *("test_laws.py", "test_agreed_sources.py", "test_wire*.py"),
    *("test_records.py", "test_locations.py", "test_explain*.py"),
    *("test_execute_claims.py", "test_attempts.py", "test_notes.py"),
    *("test_exact.py", "test_decisions.py"),
    *("test_text.py", "test_hostile.py", "test_masked.py"),
    *("test_cache_filling.py", "test_capabilities.py", "test_sizes.py"),
    *("test_ordinary_route.py", "test_registered.py", "test_unknown.py"),
    *("test_laws_remedies.py", "test_remedies_work.py"),
)
"""Tests that reach every branch of the pure modules."""
TOOLS = ("test_cli_[a-h]*.py", "test_cli_[j-z]*.py", "test_arrays.py")
"""Tests of what else uses a dependency."""


def found() -> list[str]:
    """Find the supported Pythons that really start, pyenv's among them."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(root.glob("versions/*/bin"), reverse=True)
    search = os.pathsep.join([*map(str, installed), os.environ["PATH"]])
    works = []
    for version in VERSIONS:
        program = shutil.which(f"python{version}", path=search)
        if program is None:
            continue
        started = subprocess.run([program, "-c", ""], check=False)  # noqa: S603 - it was just found
        if started.returncode == 0:
            works.append(version)
            folder = str(Path(program).parent)
            os.environ["PATH"] = folder + os.pathsep + os.environ["PATH"]
    return works


PYTHONS = found()


def build_wheel(session: nox.Session) -> Path:
    """Build the wheel, so that nothing sees the sources."""
    folder = Path(session.create_tmp()).resolve()
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run_install(
        *("python", "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--wheel-dir", str(folder), "."),
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(
    session: nox.Session, *groups: str, extras: str = EVERYTHING
) -> None:
    """Build the wheel and install it."""
    wheel = build_wheel(session)
    needed = [name for group in groups for name in GROUPS[group]]
    session.install(f"{wheel}[{extras}]", *needed)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*GROUPS["lint"])
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of everything."""
    session.install(
        f".[{EVERYTHING},glance]",
        *GROUPS["typing"],
        *GROUPS["tests"],
        *GROUPS["docs"],
        *GROUPS["bench"],
    )
    session.run(
        *("mypy", "src", "tests", "docs", "benchmarks"),
        *("examples/filearray/src", "noxfile.py"),
    )
    session.run("pyright")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests against the built wheel."""
    install_wheel(session, "tests")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    # the examples of a page build on each other: one process for them
    session.run("pytest", "-q", "README.md", "docs")
    if session.python == PYTHONS[0]:
        session.run("pytest", "-n", "auto")
        return
    # every rule runs with every Python; that all policies decide as the
    # reference does, in all combinations, no Python changes
    usual = "not deep and not one_python"
    session.run("pytest", "-n", "auto", "-m", usual, env=FEW)


@nox.session(python=PYTHONS[:1])
def coverage(session: nox.Session) -> None:
    """Hold the pure modules to full branch coverage.

    This is with the oldest dependencies that are allowed.
    """
    extras = PROJECT["project"]["optional-dependencies"]
    needed = [*PROJECT["project"]["dependencies"]]
    needed += [n for name in ("json", "arrays", "cli") for n in extras[name]]
    needed += extras["testing"]
    oldest = [n.replace(">=", "==") for n in needed if ">=" in n]
    install_wheel(session, "tests")
    session.install(*oldest)
    session.run(
        *("pytest", "-q", "-n", "auto", "--cov", "--cov-report="),
        *(str(path) for name in CORE + TOOLS for path in TESTS.glob(name)),
        env=FEW,
    )
    pure = ",".join(f"*/clonepolicy/{name}.py" for name in PURE)
    session.run("coverage", "report", f"--include={pure}", "--fail-under=100")


@nox.session
def deep(session: nox.Session) -> None:
    """Enumerate everything, and draw ten times as many examples."""
    install_wheel(session, "tests")
    session.run("pytest", "-n", "auto", "-m", "deep", "tests")
    session.run(
        *("pytest", "-n", "auto", "tests/test_machine.py"),
        *("tests/test_safety.py", "tests/test_local_kills.py"),
        *(str(path) for name in LAWS for path in TESTS.glob(name)),
        env={"CLONEPOLICY_PROFILE": "deep"},
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documents, of which the tests hold the generated current."""
    session.install(f".[{EVERYTHING}]", *GROUPS["docs"])
    session.run("sphinx-build", "-nWqb", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, as ratios in one run."""
    session.install(f".[{EVERYTHING}]", *GROUPS["bench"])
    for script in sorted(Path("benchmarks").glob("bench_*.py")):
        plots = script.stem == "bench_arrays"
        plot = ("--plot", "docs/pictures/arrays.svg") if plots else ()
        session.run("python", str(script), *plot, *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo."""
    session.install(f".[{EVERYTHING}]")
    session.run("clonepolicy", "demo", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Mutate the rules, the findings, the decisions and the locations.

    The sources are mutated in a copy, which is what is installed.
    """
    copy = Path(session.create_tmp()).resolve() / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("src", "tests"):
        shutil.copytree(part, copy / part)
    for name in ("pyproject.toml", "conftest.py", "README.md", "LICENSE"):
        shutil.copy(name, copy / name)
    session.chdir(copy)
    session.install(
        *("-e", f".[{EVERYTHING}]"),
        *GROUPS["tests"],
        *GROUPS["mutation"],
    )
    config, results = "tests/mutation.toml", "mutation.sqlite"
    session.run("cosmic-ray", "init", config, results)
    session.run("cr-filter-operators", results, config)
    session.run("cosmic-ray", "exec", config, results)
    session.run("cr-report", "--surviving-only", results)


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def openstack(session: nox.Session) -> None:
    """Run the tests with real Glance and real Cinder, and Cinder's own.

    OpenStack's own packages warn of much that is not ours to mend.
    """
    # a cloud, or a database, is one for all tests of a file
    with_openstack(
        session, "-n", "auto", "--dist", "loadfile", "tests/openstack"
    )
    if not session.posargs:
        session.run("python", UPSTREAM)


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def openstack_deep(session: nox.Session) -> None:
    """Hold CINDER_29 to the real Cinder in 20,000 creates, 1,000 uploads."""
    with_openstack(session, "-n", "auto", "-m", "deep", "tests/openstack")


def with_openstack(
    session: nox.Session, *usual: str, env: dict[str, str] | None = None
) -> None:
    """Run tests that need OpenStack's packages, or what was asked for."""
    install_wheel(session, "tests", "openstack", extras=f"{EVERYTHING},cinder")
    warnings = ("-o", "filterwarnings=default", "-W", OURS)
    session.run("pytest", *warnings, *(session.posargs or usual), env=env)


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def bench_openstack(session: nox.Session) -> None:
    """Time Cinder's own manager and the drop-in, in turns in one cloud."""
    groups = ("tests", "openstack")
    install_wheel(session, *groups, extras=f"{EVERYTHING},cinder")
    session.run("python", "benchmarks/bench_drop_in.py", *session.posargs)


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def arrays(session: nox.Session) -> None:
    """Certify the arrays on real file systems, QEMU and Ceph, and kill them.

    As root on Debian it installs what that takes; elsewhere what is missing
    is skipped, and named.
    """
    install_debian(session, *DEBIAN)
    with_openstack(
        session,
        *("-n", "2", "--dist", "loadfile", "tests/arrays"),
        env={"CLONEPOLICY_ARRAYS": "1"},
    )


def install_debian(session: nox.Session, *packages: str) -> None:
    """Install packages of Debian's, where this machine and user can."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        session.warn("needs root and apt-get to install " + " ".join(packages))
        return
    apt = {"DEBIAN_FRONTEND": "noninteractive"}
    session.run("apt-get", "update", "-qq", external=True)
    session.run(
        *("apt-get", "install", "-y", "-qq", "--no-install-recommends"),
        *packages,
        env=apt,
        external=True,
    )


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def kills(session: nox.Session) -> None:
    """Kill cinder-volume at every step, and check what it leaves.

    With ``--write`` it writes the page that says it.
    """
    install_debian(session, *DEBIAN, "postgresql", "rabbitmq-server")
    install_wheel(session, "tests", "openstack", extras=f"{EVERYTHING},cinder")
    script = "tests/openstack/kill_table.py"
    session.run("python", script, *session.posargs)


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def upstream(session: nox.Session) -> None:
    """Run Cinder's own tests alone: stock, with CINDER_29 and with SAFE."""
    install_wheel(session, "openstack", extras="cinder")
    session.run("python", UPSTREAM, *session.posargs)


@nox.session(python=[v for v in PYTHONS if v in OPENSTACK][:1])
def releases(session: nox.Session) -> None:
    """Test the drop-in on each release of Cinder, or on those that are named.

    ``nox -s releases -- 24 --quick`` runs one release in a smaller form.
    """
    session.install("attrs")
    session.run(
        *("python", "tests/openstack/releases/run_releases.py"),
        *("--wheel", str(build_wheel(session)), *session.posargs),
    )


@nox.session
def guide(session: nox.Session) -> None:
    """Follow the guide for driver authors as it is written."""
    session.run("python", "tests/guide/run_guide.py")
