"""An application's own programs around the stages of its deployment."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from cookline.errors import ResourceError
from cookline.host import paths
from cookline.host.resources.base import differences
from cookline.host.resources.deploy_hooks import AfterRestart
from cookline.host.resources.release import Release
from cookline.host.system import System

HOOK = '#!/bin/sh\necho "${0##*/} $COLOUR $(readlink "$CURRENT_PATH" | tail -c 15)" >> "$SHARED_PATH/../hooks"\n'


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def archive(path: Path, files: dict[str, str], mode: int = 0o755) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), mode
            opened.addfile(member, io.BytesIO(text.encode()))
    return path


def release(tmp_path: Path, files: dict[str, str], **fields: object) -> Release:
    made = archive(tmp_path / f"{len(list(tmp_path.iterdir()))}.tgz", files, int(str(fields.pop("mode", 0o755))))
    directory = str(tmp_path / "shop")
    return Release("shop", artifact=str(made), directory=directory, environment={"COLOUR": "blue"}, **fields)


def converge(resource: Release) -> list[str]:
    """Apply it as the engine does; what it owes is done at the end. Returns the names of that."""
    host = System()
    changes = differences(resource.current(host), resource.desired())
    assert changes
    owed = list(resource.owes(host))
    resource.apply(host, changes)
    for action in owed:
        action.perform(host)
    return [action.name for action in owed]


def stamps(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "shop/releases").iterdir())


ALL = {f"deploy/{name}": HOOK for name in ("before_migrate", "before_symlink", "before_restart", "after_restart")}


def test_hooks_run_in_order_and_see_where_current_leads(tmp_path: Path, state: Path) -> None:
    converge(release(tmp_path, {"app": "one"}))
    assert not (state / "hooks").exists()
    assert converge(release(tmp_path, {"app": "two", **ALL})) == ["AfterRestart[shop]"]
    old, new = stamps(tmp_path)
    assert (tmp_path / "shop/hooks").read_text().splitlines() == [
        f"before_migrate blue {old}",
        f"before_symlink blue {old}",
        f"before_restart blue {new}",
        f"after_restart blue {new}",
    ]


@pytest.mark.parametrize("stage", ["before_migrate", "before_symlink", "before_restart"])
def test_a_failing_hook_leaves_current_as_it_was(tmp_path: Path, stage: str) -> None:
    broken = {f"deploy/{stage}": "#!/bin/sh\necho no luck >&2\nexit 3\n"}
    with pytest.raises(ResourceError, match="no luck"):
        converge(release(tmp_path, broken))
    assert stamps(tmp_path) == []
    assert not (tmp_path / "shop/current").is_symlink()

    converge(release(tmp_path, {"app": "one"}))
    before = (tmp_path / "shop/current").resolve()
    with pytest.raises(ResourceError, match=f"the hook deploy/{stage} of 'shop' failed"):
        converge(release(tmp_path, {"app": "two", **broken}))
    assert (tmp_path / "shop/current").resolve() == before
    assert stamps(tmp_path) == [before.name]


def test_a_failing_migration_leaves_current_as_it_was(tmp_path: Path) -> None:
    converge(release(tmp_path, {"app": "one"}))
    before = (tmp_path / "shop/current").resolve()
    with pytest.raises(ResourceError, match="the migration of 'shop' failed"):
        converge(release(tmp_path, {"app": "two"}, migrate=["sh", "-c", "test -e nothing"]))
    assert (tmp_path / "shop/current").resolve() == before


def test_a_rollback_runs_the_hooks_around_the_restart(tmp_path: Path) -> None:
    converge(release(tmp_path, {"app": "one", **ALL}))
    converge(release(tmp_path, {"app": "two"}))
    (tmp_path / "shop/hooks").unlink()
    old = stamps(tmp_path)[0]
    assert converge(release(tmp_path, {}, rollback=1)) == ["AfterRestart[shop]"]
    assert (tmp_path / "shop/hooks").read_text().splitlines() == [f"before_restart blue {old}", f"after_restart blue {old}"]


def test_hooks_can_be_left_out(tmp_path: Path) -> None:
    assert converge(release(tmp_path, {"deploy/before_migrate": "#!/bin/sh\nexit 1\n", **ALL}, hooks=False)) == []
    assert not (tmp_path / "shop/hooks").exists()


def test_what_is_no_hook_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="is not executable") as caught:
        converge(release(tmp_path, {"deploy/before_migrate": HOOK}, mode=0o644))
    assert caught.value.hint == "chmod +x deploy/before_migrate"
    with pytest.raises(ResourceError, match="which one is its hook"):
        converge(release(tmp_path, {"deploy/before_migrate": HOOK, "deploy/before_migrate.py": ""}))


def test_the_environment_is_kept_for_root_alone_and_goes_with_the_app(tmp_path: Path, state: Path) -> None:
    converge(release(tmp_path, ALL))
    kept = state / "hooks/shop.json"
    assert '"COLOUR": "blue"' in kept.read_text()
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    host = System()
    Release("shop", directory=str(tmp_path / "shop"), exists=False).apply(host, {})
    assert not kept.exists()
    AfterRestart("shop").perform(host)
