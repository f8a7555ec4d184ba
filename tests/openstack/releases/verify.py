"""Add the code of releases of Cinder to what counts as verified.

Run it with the Python of an environment that has one release, after its
tests have passed, and name all point releases of it that are published:

    python tests/openstack/releases/verify.py 29.0.0 29.1.0

Each is downloaded, imported from its wheel, and its digests replace what
`clonepolicy.adapters.cinder._releases.verified` has of this release.  What
differs between the point releases is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from itertools import groupby
from pathlib import Path

from cinder import objects

objects.register_all()

from clonepolicy.adapters.cinder._drop_in.supported_cinder import (  # noqa: E402 - objects first
    functions_of,
)
from clonepolicy.adapters.cinder._releases import (  # noqa: E402 - the same
    installed_release,
    verified,
)
from clonepolicy.adapters.cinder._releases.digest import digest  # noqa: E402 - the same

MARK = '\nTABLE = """\\\n'
Digests = dict[str, dict[str, set[int]]]
"""By function, and then by digest: the releases that have it."""


def own_digests() -> dict[str, str]:
    """Return the digests of the Cinder that this process imports."""
    found = {}
    for name, function, _ in functions_of(installed_release()):
        if function is None:
            sys.exit(f"{name} is missing")
        found[name] = digest(function)
    return found


def digests_of(version: str, folder: Path) -> dict[str, str]:
    """Return the digests of a published version."""
    pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps")
    place = folder / version
    subprocess.run(
        [*pip, "--dest", str(place), f"cinder=={version}"], check=True
    )
    (wheel,) = place.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(place / "content")
    paths = [str(place / "content"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def written(digests: Digests) -> str:
    """Return the table, as `verified` reads it."""
    lines = []
    for name, by_digest in sorted(digests.items()):
        lines.append(name)
        rows = sorted((min(n), d, n) for d, n in by_digest.items() if n)
        lines += [f"  {_ranges(numbers)} {each}" for _, each, numbers in rows]
    return "\n".join(lines) + "\n"


def _ranges(numbers: set[int]) -> str:
    """Write 24, 25 and 27 as ``24-25,27``."""
    runs = [
        [number for _, number in run]
        for _, run in groupby(
            enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]
        )
    ]
    return ",".join(
        f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs
    )


def main() -> None:
    """Without versions print this process's digests, or else add theirs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*")
    versions = parser.parse_args().versions
    if not versions:
        sys.stdout.write(json.dumps(own_digests()))
        return
    number = installed_release().number
    digests: Digests = defaultdict(lambda: defaultdict(set))
    for name, by_digest in verified.verified().items():
        for each, numbers in by_digest.items():
            digests[name][each] |= numbers - {number}
    first: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for version in versions:
            found = digests_of(version, Path(folder))
            first = first or found
            for name, each in found.items():
                digests[name][each].add(number)
                if each != first[name]:
                    sys.stdout.write(f"{version} differs: {name}\n")
    path = Path(verified.__file__)
    head, mark, _ = path.read_text().partition(MARK)
    text = f'{head}{mark}{written(digests)}"""\n'
    path.write_text(text)


if __name__ == "__main__":
    main()
