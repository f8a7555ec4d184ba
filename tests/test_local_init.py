"""Making a cloud can be repeated after a kill at any call."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from clonepolicy import ConflictError, NotFoundError
from clonepolicy.adapters.local import LocalCloud
from local_support import faults, killed

source = local_support.source


def _all_kills(root: Path, pools: dict[str, Path | None]) -> int:
    """Kill init at each call, each time with what the last kill left."""
    kills = 0
    while killed(
        lambda: LocalCloud.init(root, pools=pools).close(), kills + 1
    ):
        kills += 1
        if (root / "catalogue.sqlite").exists():
            LocalCloud(root).close()
            return kills
    return kills


@pytest.mark.parametrize("again", [False, True])
def test_init_killed_at_any_call_can_be_run_again(
    tmp_path: Path, *, again: bool
) -> None:
    """What a kill left opens, or is made a cloud; pools outside too."""
    if again:  # each attempt goes on where the last was killed
        root, pools = tmp_path / "c", {"a": None, "b": tmp_path / "b"}
        kills = _all_kills(root, pools)
        assert kills > 10
        assert faults(root) == []
        return
    kills = 0
    died = True
    while died:
        root, pool = tmp_path / f"c{kills}", tmp_path / f"p{kills}"
        pools = {"a": None, "b": pool}
        died = killed(
            lambda: LocalCloud.init(root, pools=pools).close(),  # noqa: B023 - called at once
            kills + 1,
        )
        kills += died
        if not (root / "catalogue.sqlite").exists():
            with pytest.raises(NotFoundError):
                LocalCloud(root)
            LocalCloud.init(root, pools=pools).close()
        assert faults(root) == []
        with pytest.raises(ConflictError, match="already"):
            LocalCloud.init(root, pools=pools)
    assert kills > 10


def test_a_half_made_cloud_is_no_excuse_to_take_other_files(
    tmp_path: Path, source: Path
) -> None:
    """Beside a draft, files of the user's are still refused."""
    root = tmp_path / "c"
    while not (root / "images").is_dir():
        died = killed(
            lambda: LocalCloud.init(root).close(),
            1 + len(list(tmp_path.iterdir())),
        )
        assert died
        (tmp_path / f"mark{len(list(tmp_path.iterdir()))}").touch()
    (root / "images" / "mine").write_bytes(source.read_bytes())
    with pytest.raises(ConflictError, match="images is not empty"):
        LocalCloud.init(root)
    assert (root / "images" / "mine").read_bytes() == source.read_bytes()


def test_another_clouds_empty_pool_is_not_taken(tmp_path: Path) -> None:
    """Its mark is of another cloud."""
    pool = tmp_path / "pool"
    LocalCloud.init(tmp_path / "one", pools={"a": pool}).close()
    with pytest.raises(ConflictError, match="not empty"):
        LocalCloud.init(tmp_path / "two", pools={"a": pool})
    LocalCloud(tmp_path / "one").close()


def test_two_processes_make_one_cloud(tmp_path: Path) -> None:
    """One makes it, and the other is told that it exists."""
    root = tmp_path / "c"
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 2
            try:
                LocalCloud.init(root).close()
                code = 0
            except ConflictError:
                code = 1
            finally:
                os._exit(code)
        children.append(child)
    codes = sorted(os.waitpid(child, 0)[1] >> 8 for child in children)
    assert codes == [0, 1, 1, 1]
    assert faults(root) == []
