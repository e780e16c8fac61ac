"""A revision is the same wherever it lies, changes with every content, and says the same after a round trip through JSON."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cookline.control.stack.artifact import artifact
from cookline.control.stack.attributes import explain, merged_attributes
from cookline.control.stack.cookbooks import manifest, packaged_cookbooks, packaged_stacks
from cookline.control.stack.definition import Definition
from cookline.control.stack.loading import load_stack
from cookline.control.stack.revision import Revision, freeze, frozen
from cookline.control.stack.snapshot import Standing, agent_settings, snapshot
from cookline.errors import CookbookError, StackError
from cookline.protocol import content_hash, tree_hash

HERE = Path(__file__).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the test's project that a test may change; the stack file."""
    for folder in ("cookbooks", "apps"):
        shutil.copytree(HERE / folder, tmp_path / folder)
    file = tmp_path / "shop.yml"
    shutil.copy(HERE / "shop.yml", file)
    return file


def test_a_revision_survives_json(shop: Definition) -> None:
    revision = frozen(shop)
    back = Revision.load(json.loads(json.dumps(revision.to_dict())))
    assert back.stack == revision.stack
    assert back.hash == revision.hash
    assert back.to_dict() == revision.to_dict()
    assert merged_attributes(back, "web1") == merged_attributes(shop, "web1")
    assert explain(back, "web.port", "web1") == explain(shop, "web.port", "web1")


def test_a_recalled_revision_answers_as_a_loaded_one(shop: Definition) -> None:
    data = json.loads(json.dumps(frozen(shop).to_dict()))
    recalled, loaded = Revision.recall(data), Revision.load(data)
    _same(recalled.stack, loaded.stack)
    for name, cookbook in loaded.cookbooks.items():
        _same(dict(recalled.cookbooks[name].attributes), dict(cookbook.attributes))
        assert recalled.cookbooks[name].defaults() == cookbook.defaults()
    assert recalled.stack.name == loaded.stack.name
    assert (recalled.hash, recalled.to_dict()) == (loaded.hash, loaded.to_dict())
    assert merged_attributes(recalled, "web1") == merged_attributes(loaded, "web1")


def test_a_recalled_revision_has_the_defaults_of_fields_that_are_newer_than_it(shop: Definition) -> None:
    data = json.loads(json.dumps(frozen(shop).to_dict()))
    del data["stack"]["layers"]["web"]["drift"]["watch"], data["stack"]["metrics"]
    assert Revision.recall(data).stack.layers["web"].drift.watch is True
    assert Revision.recall(data).stack.metrics == Revision.load(data).stack.metrics


def test_recalling_a_revision_needs_no_pydantic(shop: Definition, tmp_path: Path) -> None:
    (tmp_path / "revision.json").write_text(json.dumps(frozen(shop).to_dict()))
    code = f"""if True:
        import json, sys
        from cookline.control.stack.attributes import merged_attributes
        from cookline.control.stack.revision import Revision
        merged_attributes(Revision.recall(json.load(open({str(tmp_path / "revision.json")!r}))), "web1")
        print("pydantic" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def _same(recalled: Any, model: Any) -> None:
    """Alike in every field, also in the kinds of their values."""
    if hasattr(model, "model_fields_set"):
        assert set(recalled.model_fields_set) == set(model.model_fields_set)
        for name, value in model:
            _same(getattr(recalled, name), value)
    elif isinstance(model, dict):
        assert list(recalled) == list(model)
        for name, value in model.items():
            _same(recalled[name], value)
    else:
        assert recalled == model and type(recalled) is type(model)


def test_no_secret_is_in_a_revision(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "canary-of-the-environment")
    text = json.dumps(freeze(project).to_dict())
    assert '{"!secret": "env:KEY"}' in text
    assert "canary" not in text


def test_the_hash_does_not_depend_on_the_place_or_on_comments(project: Path, shop: Definition) -> None:
    project.write_text("# a comment\n\n" + project.read_text())
    os.utime(project.parent / "apps/shop/server.py", (1, 1))
    assert freeze(project).hash == frozen(shop).hash


def test_the_hash_depends_on_the_place_when_files_beside_the_stack_stay_there(project: Path, tmp_path: Path) -> None:
    text = "stack: s\nlayers: {a: {}}\ninstances: {x: {layers: [a], address: h, identity_file: KEY}}\n"
    elsewhere = tmp_path / "elsewhere/shop.yml"
    elsewhere.parent.mkdir()
    hashes = []
    for key in ("keys/id", "~/.ssh/id"):
        for file in (project, elsewhere):
            file.write_text(text.replace("KEY", key))
            hashes.append(frozen(load_stack(file, search=[HERE / "cookbooks"])).hash)
    project.write_text("stack: s\nattributes: {web: {tls: {certificate: !secret file:tls.pem}}}\n")
    here = frozen(load_stack(project, search=[HERE / "cookbooks"])).hash
    shutil.copy(project, elsewhere)
    assert hashes[0] != hashes[1]
    assert hashes[2] == hashes[3]
    assert here != frozen(load_stack(elsewhere, search=[HERE / "cookbooks"])).hash


@pytest.mark.parametrize(
    "changed",
    ["cookbooks/web/recipes/setup.py", "cookbooks/web/templates/site.j2", "cookbooks/db/cookbook.yml", "apps/shop/server.py"],
)
def test_the_hash_changes_with_every_content(project: Path, changed: str) -> None:
    before = freeze(project).hash
    with (project.parent / changed).open("a") as file:
        file.write("# changed\n")
    assert freeze(project).hash != before


def test_every_content_that_a_manifest_names_is_given_to_the_store(project: Path) -> None:
    revision = freeze(project)
    contents = {blob.sha256: blob.read() for blob in revision.blobs}
    assert {entry[2] for entries in revision.manifests.values() for entry in entries} == set(contents)
    assert all(content_hash(content) == name for name, content in contents.items())
    assert all(tree_hash(entries) == tree for tree, entries in revision.manifests.items())


def test_a_file_that_changes_during_the_push_is_told(project: Path) -> None:
    revision = freeze(project)
    (project.parent / "cookbooks/web/recipes/setup.py").write_text("other\n")
    with pytest.raises(StackError, match="has changed while it was being pushed"):
        [blob.read() for blob in revision.blobs]


def test_a_run_gets_its_cookbooks_with_all_that_they_depend_on(shop: Definition) -> None:
    revision = frozen(shop)
    assert list(revision.trees_for(["web::setup"], ["shop"])) == ["cookbook:db", "cookbook:web", "app:shop"]
    assert list(revision.trees_for(["db"])) == ["cookbook:db"]
    with pytest.raises(CookbookError, match="did you mean 'setup'"):
        revision.trees_for(["web::setpu"])


def test_a_cookbook_ships_neither_tests_nor_hidden_files_nor_bytecode(project: Path) -> None:
    web = project.parent / "cookbooks/web"
    for name in (".hidden", "recipes/__pycache__/setup.cpython-311.pyc", "recipes/x.pyc", ".git/config"):
        (web / name).parent.mkdir(exist_ok=True)
        (web / name).write_text("x")
    (web / "files").mkdir()
    (web / "files/run").write_text("#!/bin/sh\n")
    (web / "files/run").chmod(0o700)
    entries = manifest(web)
    assert [path for path, _mode, _sha in entries] == [
        "cookbook.yml",
        "files/run",
        *(f"recipes/{name}.py" for name in ("configure", "default", "deploy", "setup")),
        "templates/site.j2",
    ]
    assert [mode for path, mode, _sha in entries if mode != "0644"] == ["0755"]


def test_a_link_stays_inside_of_its_cookbook(project: Path) -> None:
    web = project.parent / "cookbooks/web"
    (web / "templates/again.j2").symlink_to("site.j2")
    assert ["templates/again.j2", "0644", content_hash((web / "templates/site.j2").read_bytes())] in manifest(web)
    (web / "templates/passwd").symlink_to("/etc/passwd")
    with pytest.raises(CookbookError, match="the link leaves its cookbook"):
        manifest(web)


@pytest.mark.parametrize("odd", ["folder", "fifo", "circle", "nothing"])
def test_a_cookbook_ships_files_only(project: Path, odd: str) -> None:
    path = project.parent / "cookbooks/web/templates/odd"
    match odd:
        case "folder":
            path.symlink_to("../recipes")
        case "fifo":
            os.mkfifo(path)
        case "circle":
            path.symlink_to("odd")
        case "nothing":
            path.symlink_to("missing")
    with pytest.raises(CookbookError, match="odd"):
        manifest(project.parent / "cookbooks/web")


def test_equal_sources_make_equal_artifacts(project: Path, tmp_path: Path) -> None:
    source = project.parent / "apps/shop"
    (source / "static").mkdir()
    (source / "static/a.css").write_text("a")
    (source / "current").symlink_to("static/a.css")
    other = tmp_path / "elsewhere"
    shutil.copytree(source, other, symlinks=True)
    for path in other.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (5, 5))
            path.chmod(0o775 if path.is_dir() else 0o664)
    (other / ".git").mkdir()
    (other / ".git/HEAD").write_text("x")
    assert artifact(other).sha256 == artifact(source).sha256
    (other / "static/a.css").write_text("b")
    assert artifact(other).sha256 != artifact(source).sha256


def test_an_artifact_can_be_unpacked(project: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    packed = artifact(project.parent / "apps/shop")
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
        [member] = archive.getmembers()
        assert (member.name, member.uid, member.gid, member.mtime, member.mode) == ("server.py", 0, 0, 0, 0o644)
    assert packed.manifest == [["artifact.tar.gz", "0644", packed.sha256]]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", ".."])
def test_a_link_out_of_an_app_is_refused(project: Path, target: str) -> None:
    source = project.parent / "apps/shop"
    (source / "out").symlink_to(target)
    with pytest.raises(StackError, match="the link leads out of the app's source"):
        artifact(source)


def test_the_snapshot_tells_an_instance_of_its_own_apps_only(shop: Definition) -> None:
    standings = {"web1": Standing("i1", "192.0.2.1", state="online"), "db1": Standing("i3", "192.0.2.3")}
    made = snapshot(frozen(shop), store="s", number=3, stack_id="id", instances=standings, deploy=["blog"], instance="db1")
    assert [(each["name"], each["online"], each["layers"]) for each in made["instances"]] == [
        ("web1", True, ["web", "extra"]),
        ("db1", False, ["extra"]),
    ]
    assert list(made["apps"]) == ["blog"]
    assert made["apps"]["blog"]["deploy"] is True
    assert "KEY" not in repr(made)


def test_the_agent_gets_the_shortest_drift_interval_of_its_layers(load: Callable[..., Definition]) -> None:
    stack = load(
        "stack: s\nlayers: {a: {drift: {interval: 1h}}, b: {drift: {interval: 10m, watch: false}}}\n"
        "instances: {x: {layers: [a, b], address: h, report: https}}\n"
        "metrics: {endpoint: 'https://192.0.2.9:8443', access_key: !secret env:A_KEY, period: 1m}\n"
    )
    settings = agent_settings(stack, "x", instance_id="i", stack_id="s", layer_ids=["l"])
    assert settings["drift"]["interval"] == 600
    assert settings["drift"]["watch"] is True
    assert settings["metrics"]["period"] == 60
    assert settings["report"]["endpoint"] == "https://192.0.2.9:8443"


def test_what_ships_loads_and_freezes() -> None:
    assert (packaged_cookbooks() / "base/cookbook.yml").is_file()
    for file in sorted(packaged_stacks().glob("*.yml")):
        assert freeze(file).trees
