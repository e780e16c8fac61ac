"""What a kitchen.yml asks for, and what is said of one that is wrong."""

from __future__ import annotations

import pytest

from cookline.control.stack.kitchen_checks import load_kitchen
from cookline.control.stack.mock import mocked
from cookline.errors import CooklineError, SelectorError, StackError
from cookline.kitchen.cases import load_cases, select
from cookline.kitchen.hooks import run_hooks
from cookline.kitchen.record import next_phases
from cookline.kitchen.result import PhaseFailed
from cookline.kitchen.verify import require_tools

SMALL = "suites:\n  default:\n    recipes: [web]\n"


def test_a_suite_runs_on_each_platform_unless_it_says_otherwise(project):
    project.kitchen(SMALL + "  other:\n    recipes: [web]\n    excludes: [debian-11]\n    platforms: [debian-11, debian-13]\n")
    assert [case.name for case in load_cases(project.folder)] == [
        "web-debian-11",
        "web-debian-12",
        "web-debian-13",
        "web-other-debian-13",
    ]


def test_a_folder_of_a_cookbook_and_the_root_of_its_project_have_the_same_cases(project):
    project.kitchen(SMALL)
    assert load_cases(project.folder) == load_cases(project.folder / "cookbooks" / "web")


def test_packages_of_provider_platform_and_suite_add_up(project):
    project.kitchen(
        """
        providers: {container: {packages: [a]}}
        platforms: {debian-12: {settings: {packages: [b]}}}
        suites: {default: {recipes: [web], settings: {packages: [c]}}}
        """
    )
    [case] = load_cases(project.folder)
    assert case.settings == {"image": "debian-12", "packages": ["a", "b", "c"]}


def test_attributes_of_the_suite_win_over_those_of_the_platform(project):
    path = project.kitchen(
        """
        platforms: {debian-12: {attributes: {web: {port: 1}}}}
        suites: {default: {recipes: [web], attributes: {web: {port: 2}}}}
        """
    )
    definition = load_kitchen(path).definition("default", "debian-12", "web1")
    assert definition.stack.instances["web1"].attributes == {"web": {"port": 2}}


def test_the_layer_of_a_stack_brings_its_run_lists(project):
    project.write(
        "stacks/shop.yml",
        "stack: shop\nlayers: {web: {recipes: {setup: [web]}}}\ninstances: {w1: {layers: [web], address: a}}\n",
    )
    path = project.write("kitchen.yml", "suites: {web: {stack: stacks/shop.yml, layer: web}}\n")
    definition = load_kitchen(path).definition("web", "debian-12", "web-debian-12")
    assert list(definition.stack.instances) == ["w1", "web-debian-12"]
    assert definition.stack.layers["web"].recipes.setup == ("web::default",)
    [case] = [each for each in load_cases(project.folder) if each.platform == "debian-12"]
    assert case.tests == [definition.cookbooks["web"].folder / "tests"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("suits: {}\n", ["1:1: unknown key 'suits'; did you mean 'suites'?"]),
        ("suites: {default: {recipes: [wep]}}\n", ["1:30: cookbook 'wep' is not on the search path; did you mean 'web'?"]),
        (
            "suites: {default: {recipes: [web], attributes: {web: {prt: 1}}}}\n",
            ["has no attribute 'prt'; did you mean 'port'?"],
        ),
        (SMALL + "    platforms: [debian12]\n", ["4:17: there is no platform 'debian12'; did you mean 'debian-12'?"]),
        (SMALL + "    events: [set-up]\n", ["4:14: there is no event 'set-up'; did you mean 'setup'?"]),
        (
            "suites: {default: {recipes: web}}\n",
            ["1:29: `recipes` wants a list, or a mapping of events to lists", "write [web]"],
        ),
        (SMALL + "    hooks: {pre_convrge: [true]}\n", ["4:13: unknown key 'pre_convrge'; did you mean 'pre_converge'?"]),
        (SMALL + "    hooks: {pre_verify: [{remot: x}]}\n", ["4:25: `pre_verify` wants commands: a text is run here"]),
        (SMALL + "    tests: [nowhere]\n", ["4:13: there is no file or folder 'nowhere'"]),
        (SMALL + "    snapshot: none.json\n", ["4:15: ", "none.json cannot be read: No such file or directory"]),
        (SMALL + "    snapshot: {instanses: {}}\n", ["4:16: a snapshot has no 'instanses'; did you mean 'instances'?"]),
        (
            SMALL + "    snapshot: {instances: {app1: {layer: [app]}}}\n",
            ["4:35: an instance has no 'layer'; did you mean 'layers'?"],
        ),
        (
            SMALL + "    snapshot: {instances: {app1: [app]}}\n",
            ["4:28: an instance wants a mapping such as {layers: [app]}, not a list"],
        ),
        (SMALL + "    snapshot: {instances: [{layers: [app]}]}\n", ["an instance of a list needs a `name`"]),
        (SMALL + "    snapshot: {instances: {app1: {layers: app}}}\n", ["`layers` wants a list of names, not the text 'app'"]),
        ("suites: {default: {}}\n", ["needs either `recipes` or a `stack` with a `layer`"]),
        ("suites: {default: {stack: none.yml, layer: web}}\n", ["1:27: there is no file 'none.yml'"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_nearest_word(project, text, said):
    path = project.kitchen(text)
    with pytest.raises(StackError) as caught:
        load_kitchen(path)
    for each in said:
        assert each in str(caught.value)


def test_what_is_otherwise_on_this_machine_lies_over_the_rest(project):
    path = project.kitchen("providers: {container: {packages: [a]}}\nplatforms: [debian-12]\n" + SMALL)
    local = project.write(
        "cookbooks/web/kitchen.local.yml",
        "providers: {static: {address: 192.0.2.7}}\nsuites: {default: {attributes: {web: {port: 2}}}}\n",
    )
    [case] = load_cases(project.folder)
    assert (case.provider, case.settings) == ("static", {"address": "192.0.2.7"})
    definition = load_kitchen(path).definition("default", "debian-12", "web1")
    assert definition.stack.instances["web1"].attributes == {"web": {"port": 2}}
    assert definition.stack.layers["web"].recipes.setup == ("web::default",)
    local.write_text("suites: {default: {recepes: [web]}}\n")
    with pytest.raises(StackError, match=r"kitchen.local.yml:1:20: unknown key 'recepes'; did you mean 'recipes'"):
        load_kitchen(path)
    local.write_text("")
    path.write_text(SMALL + "    colour: red\n")
    with pytest.raises(StackError, match=r"kitchen.yml:4:5: unknown key 'colour'"):
        load_kitchen(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + "    provider: contaner\n", "4:15: there is no provider 'contaner'; did you mean 'container'?"),
        ("providers: {contaner: {}}\n" + SMALL, "1:13: there is no provider 'contaner'; did you mean 'container'?"),
        (
            "providers: {container: {pakages: [a]}}\n" + SMALL,
            "1:25: a container has no setting 'pakages'; did you mean 'packages'?",
        ),
        ("providers: {container: {packages: nginx}}\n" + SMALL, "1:25: `packages` wants a list of names of Debian packages"),
        ("platforms: [debian-12, debian-14]\n" + SMALL, "1:24: there is no image 'debian-14'"),
        ("platforms: {debian-12: {settings: {image: debian}}}\n" + SMALL, "1:36: there is no image 'debian'"),
        (SMALL + "    provider: static\n", "2:3: a static host needs an `address` in its settings"),
        (
            "suites: {a_b: {recipes: [web]}, a-b: {recipes: [web]}}\n",
            "1:33: the suites a_b and a-b would both call their hosts web-a-b-debian-11",
        ),
    ],
)
def test_what_no_provider_can_make_is_told_before_any_host_is_touched(project, text, said):
    project.kitchen(text)
    with pytest.raises(StackError) as caught:
        load_cases(project.folder)
    assert f"kitchen.yml:{said}" in str(caught.value)


def test_a_short_snapshot_is_filled_in_and_a_copied_one_stays():
    short = mocked({"instances": {"app1": {"layers": ["app"]}}})
    [instance] = short["instances"]
    assert (instance["online"], instance["address"], short["layers"]) == (True, "192.0.2.1", {"app": {"name": "app"}})
    assert mocked(short) == short


def test_patterns_mean_names_parts_of_names_and_shell_patterns():
    names = ["web-debian-11", "web-debian-12", "db-debian-12"]
    assert select(names, ["12"]) == names[1:]
    assert select(names, ["web-*", "db-debian-12"]) == names
    with pytest.raises(SelectorError, match="did you mean 'db-debian-12'"):
        select(names, ["dp-debian-12"])


def test_a_later_state_takes_the_way_through_those_between():
    assert next_phases("absent", "verify") == ["create", "converge", "setup", "verify"]
    assert next_phases("converged", "verify") == ["setup", "verify"]
    assert next_phases("verified", "converge") == ["converge"]


def test_verify_says_what_to_install_where_its_tools_are_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "testinfra" else object())
    with pytest.raises(CooklineError) as caught:
        require_tools()
    assert str(caught.value) == "verify needs pytest-testinfra\n  pip install 'cookline[kitchen]'"


def test_hooks_are_run_in_the_folder_of_the_suite_and_one_that_fails_ends_it(project):
    project.kitchen(
        SMALL + "    hooks: {pre_verify: ['echo $COOKLINE_KITCHEN_HOST > seen; cat seen', 'echo no; exit 3', 'touch after']}\n"
    )
    case, said = load_cases(project.folder)[0], []
    with pytest.raises(PhaseFailed, match="pre_verify: `echo no; exit 3` ended with status 3\nno"):
        run_hooks("pre_verify", case, ["ssh"], "192.0.2.1", said.append)
    assert said[1] == "web-debian-11" and (case.file.directory / "seen").exists()
    assert not (case.file.directory / "after").exists()
