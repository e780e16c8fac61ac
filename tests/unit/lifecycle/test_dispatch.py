"""Commands on dummy hosts, from the operator's word to the last outcome, over the durable engine."""

from __future__ import annotations

import threading

import pytest
from kitchen import Kitchen, KitchenMaker, outcomes

from cookline.control.lifecycle.command import Command
from cookline.control.stack.revision import freeze
from cookline.control.store.database import disk_full
from cookline.errors import DiskFull, SelectorError, UsageError

FLEET = ("lb1", "app1", "app2")


def everyone(event: str) -> list[tuple[str, str]]:
    return [(name, event) for name in FLEET]


@pytest.fixture
def online(kitchen: Kitchen) -> Kitchen:
    """Everybody is set up; what that took is forgotten."""
    assert kitchen.do("setup").exit_code == 0
    kitchen.executed()
    kitchen.events.clear()
    kitchen.provider.calls.clear()
    return kitchen


# -- booting ---------------------------------------------------------------------------------------------------------------


def test_setup_boots_sets_up_deploys_and_configures_everybody_once(kitchen: Kitchen) -> None:
    report = kitchen.do("setup")
    requests = {host.name: host.requests[0] for host in kitchen.hosts.hosts.values()}
    assert requests["app1"]["recipes"] == ["web::setup", "web::deploy"], "setup includes deploy"
    assert requests["app1"]["snapshot"]["apps"]["shop"]["deploy"] is True
    assert requests["lb1"]["snapshot"]["apps"] == {}, "a host is told of no app that does not run there"
    assert sorted(kitchen.executed()) == sorted(everyone("setup") + everyone("configure"))
    assert kitchen.provider.calls == [("create", FLEET)], "one call for the whole batch"
    assert set(kitchen.states().values()) == {"online"}
    assert (report.exit_code, dict(report.totals)) == (0, {"successful": 6})


def test_an_instance_goes_through_the_words_in_order(kitchen: Kitchen) -> None:
    kitchen.do("setup")
    words = [event["state"] for name, event in kitchen.events if name == "app1" and event["kind"] == "state"]
    assert words == ["requested", "pending", "booting", "running_setup", "online"]


def test_configure_sees_everybody_online(kitchen: Kitchen) -> None:
    kitchen.do("setup")
    configure = kitchen.hosts.host("lb1").requests[1]
    assert [each["name"] for each in configure["snapshot"]["instances"] if each["online"]] == list(FLEET)
    numbers = [request["snapshot"]["number"] for host in kitchen.hosts.hosts.values() for request in host.requests]
    assert configure["snapshot"]["number"] == max(numbers)


def test_a_failed_setup_configures_the_others_only(kitchen: Kitchen) -> None:
    kitchen.hosts.host("app2").outcome = "failed"
    kitchen.hosts.host("app2").reason = "Package[nginx] failed"
    report = kitchen.do("setup")
    assert kitchen.states() == {"lb1": "online", "app1": "online", "app2": "setup_failed"}
    assert kitchen.executed()[-2:] == [("lb1", "configure"), ("app1", "configure")]
    assert [result.reason for result in report.results if result.outcome == "failed"] == ["Package[nginx] failed"]
    assert (report.exit_code, dict(report.totals)) == (1, {"successful": 4, "failed": 1})


def test_a_setup_that_fails_everywhere_configures_nobody(kitchen: Kitchen) -> None:
    for name in FLEET:
        kitchen.hosts.host(name).outcome = "failed"
    kitchen.do("setup")
    assert sorted(kitchen.executed()) == sorted(everyone("setup"))


def test_a_host_that_does_not_boot_keeps_nobody_else_down(kitchen: Kitchen) -> None:
    kitchen.provider.cannot_start.add("app1")
    report = kitchen.do("setup")
    assert kitchen.states() == {"lb1": "online", "app1": "start_failed", "app2": "online"}
    assert outcomes(report, 0) == {"lb1": "successful", "app1": "failed", "app2": "successful"}
    kitchen.provider.cannot_start.clear()
    assert kitchen.do("start", "app1").exit_code == 0
    assert kitchen.states()["app1"] == "online"


def test_a_described_host_goes_the_same_way_and_is_never_powered(make_kitchen: KitchenMaker) -> None:
    kitchen = make_kitchen(provider="static")
    assert kitchen.do("setup").exit_code == 0
    report = kitchen.do("stop", "app1")
    assert (report.exit_code, kitchen.states()["app1"], kitchen.provider.calls) == (0, "stopped", [])


def test_hosts_without_configure_recipes_are_left_alone_unless_they_owe_something(online: Kitchen) -> None:
    definition = online.directory / "shop.yml"
    definition.write_text(definition.read_text().replace("configure: [web::configure], shutdown", "shutdown", 1))
    online.store.push(freeze(definition), author="ann")
    report = online.do("setup", "app1")
    assert online.executed() == [("app1", "setup"), ("app1", "configure"), ("app2", "configure")]
    assert outcomes(report, 1) == {"lb1": "skipped", "app1": "successful", "app2": "successful"}
    assert [each.reason for each in report.results if each.outcome == "skipped"] == ["no layer of it has configure recipes"]
    lb1 = next(each for each in online.store.instances.of(online.pushed.stack_id) if each.name == "lb1")
    online.store.instances.record(lb1.id, owed=[{"action": "Restart[nginx]"}])
    online.do("setup", "app1")
    assert ("lb1", "configure") in online.executed()


# -- leaving and coming back -------------------------------------------------------------------------------------------------


def test_shutdown_configures_the_others_and_start_brings_it_back(online: Kitchen) -> None:
    assert online.do("shutdown", "app1").exit_code == 0
    assert online.executed() == [("app1", "shutdown"), ("lb1", "configure"), ("app2", "configure")]
    assert online.states()["app1"] == "stopped"
    assert online.provider.calls == [("stop", ("app1",))]
    assert online.do("start", "app1").exit_code == 0
    assert online.executed() == [("app1", "setup"), *everyone("configure")]
    assert online.states()["app1"] == "online"


def test_what_was_stopped_on_purpose_stays_stopped(online: Kitchen) -> None:
    online.do("stop", "app1")
    online.executed()
    report = online.do("setup")
    assert outcomes(report, 0)["app1"] == "skipped"
    assert "app1" not in {name for name, _event in online.executed()}


def test_a_host_stops_whatever_its_shutdown_recipes_do(online: Kitchen) -> None:
    online.hosts.host("app1").outcome = "failed"
    report = online.do("stop", "app1")
    assert (outcomes(report)["app1"], online.states()["app1"]) == ("failed", "stopped")
    assert online.provider.calls == [("stop", ("app1",))]


def test_shutdown_recipes_without_end_are_left_when_their_time_is_up(online: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookline.control.lifecycle.runner.GRACE_SECONDS", -0.8)  # of the layer's 1 s
    online.hosts.host("app1").seconds = 3600.0
    report = online.do("stop", "app1")
    assert (outcomes(report)["app1"], online.states()["app1"]) == ("expired", "stopped")
    assert online.provider.calls == [("stop", ("app1",))]


def test_a_provider_that_cannot_stop_a_host_is_heard(online: Kitchen) -> None:
    online.provider.cannot_stop.add("app1")
    report = online.do("stop", "app1")
    assert (outcomes(report)["app1"], online.states()["app1"], report.exit_code) == ("failed", "stop_failed", 1)


def test_a_shutdown_may_leave_the_power_on(online: Kitchen) -> None:
    online.do("shutdown", "app1", power_off=False)
    assert (online.states()["app1"], online.provider.calls) == ("stopped", [])


def test_a_reboot_fires_no_event(online: Kitchen) -> None:
    assert online.do("reboot", "app1").exit_code == 0
    assert (online.executed(), online.states()["app1"]) == ([], "online")
    assert online.provider.calls == [("reboot", ("app1",))]


# -- other commands ----------------------------------------------------------------------------------------------------------


def test_deploy_reaches_the_apps_layers_and_configures_nobody(online: Kitchen) -> None:
    assert online.do("deploy", apps=("shop",)).exit_code == 0
    request = online.hosts.host("app1").requests[0]
    assert (request["app"], request["snapshot"]["apps"]["shop"]["deploy"]) == ("shop", True)
    assert online.executed() == [("app1", "deploy"), ("app2", "deploy")]


def test_run_sends_the_named_recipes_and_attributes(online: Kitchen) -> None:
    report = online.do("run", "lb1", recipes=("web::extra",))
    request = online.hosts.host("lb1").requests[0]
    assert (request["event"], request["recipes"], report.exit_code) == ("execute_recipes", ["web::extra"], 0)


def test_secrets_reach_the_host_and_no_file_of_ours(online: Kitchen) -> None:
    online.do("deploy")
    request = online.hosts.host("app1").requests[0]
    secret = request["snapshot"]["apps"]["shop"]["environment"]["TOKEN"]
    assert request["secrets"] == [secret]
    for path in online.store.directory.rglob("*"):
        if path.is_file() and path.name != "secrets.json":
            assert secret.encode() not in path.read_bytes(), path


def test_a_plan_changes_nothing_and_starts_no_engine(kitchen: Kitchen) -> None:
    report = kitchen.do("plan")
    assert [(result.instance, result.event) for result in report.results] == [*everyone("setup"), *everyone("configure")]
    assert {request["apply"] for host in kitchen.hosts.hosts.values() for request in host.requests} == {False}
    assert report.exit_code == 3, "something would change"
    assert set(kitchen.states().values()) == {"stopped"}
    assert not (kitchen.store.directory / "engine.db").exists()
    assert kitchen.store.instances.of(kitchen.pushed.stack_id)[0].last_run is None


@pytest.mark.parametrize(
    "command, message",
    [
        (Command("configure", "shop", on="ap1"), "did you mean 'app1'"),
        (Command("deploy", "shop", apps=("shopp",)), "did you mean 'shop'"),
        (Command("configure", "shpo"), "did you mean 'shop'"),
        (Command("run", "shop"), "needs the recipes"),
        (Command("configure", "shop", revision=7), "no revision 7"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_happens(kitchen: Kitchen, command: Command, message: str) -> None:
    with pytest.raises((SelectorError, UsageError), match=message):
        kitchen.dispatcher.dispatch(command)
    assert kitchen.store.runs.commands(kitchen.pushed.stack_id) == []


# -- trouble -----------------------------------------------------------------------------------------------------------------


def test_an_unreachable_host_is_named_and_lost(online: Kitchen) -> None:
    online.dispatcher.pool().close()
    online.hosts.host("app1").away = True
    report = online.do("setup")
    assert outcomes(report, 0) == {"lb1": "successful", "app1": "unreachable", "app2": "successful"}
    assert online.states()["app1"] == "connection_lost"
    assert outcomes(report, 1) == {"lb1": "successful", "app2": "successful"}
    assert report.exit_code == 4
    online.hosts.host("app1").away = False
    assert online.do("setup", "app1").exit_code == 0
    assert online.states()["app1"] == "online"


def test_a_host_that_is_locked_by_another_run_expires(online: Kitchen) -> None:
    online.hosts.host("app1").outcome = "expired"
    online.hosts.host("app1").reason = "the host is locked by run X"
    report = online.do("configure")
    assert (outcomes(report)["app1"], report.exit_code) == ("expired", 5)


def test_a_hostile_end_of_a_run_is_not_believed(online: Kitchen) -> None:
    online.hosts.host("app1").outcome = "splendid"
    report = online.do("configure", "app1")
    assert (outcomes(report)["app1"], report.exit_code) == ("failed", 1)


def test_the_exit_code_of_a_mixed_fleet(online: Kitchen) -> None:
    online.hosts.host("lb1").outcome = "expired"
    online.hosts.host("app1").outcome = "failed"
    report = online.do("configure")
    assert (dict(report.totals), report.exit_code) == ({"expired": 1, "failed": 1, "successful": 1}, 5)


def test_cancel_lets_run_what_runs_and_begins_nothing_more(kitchen: Kitchen) -> None:
    begun = threading.Event()
    kitchen.hosts.host("app1").seconds = 0.5
    kitchen.dispatcher.progress.subscribe(lambda _name, event: begun.set() if event["kind"] == "run_started" else None)
    command = kitchen.dispatcher.begin(Command("setup", "shop"))
    assert begun.wait(10)
    kitchen.dispatcher.cancel(command)
    report = kitchen.dispatcher.wait(command)
    assert report.exit_code == 130
    assert set(outcomes(report, 1).values()) == {"skipped"}
    assert [event for _name, event in kitchen.executed() if event == "configure"] == []


def test_a_waiting_configure_is_superseded_by_a_newer_one(online: Kitchen) -> None:
    """Two commands of one server: while the first one's run is at work on app2, two more configures come for it."""
    online.hosts.host("app2").seconds = 1.0
    begun = threading.Event()
    online.dispatcher.progress.subscribe(
        lambda name, event: begun.set() if (name, event["kind"]) == ("app2", "run_started") else None
    )
    running = online.dispatcher.begin(Command("run", "shop", "app2", recipes=("web::extra",)))
    assert begun.wait(10)
    online.hosts.host("app2").seconds = 0.0
    leaving = [online.dispatcher.begin(Command("shutdown", "shop", name)) for name in ("lb1",)]
    leaving += [online.dispatcher.begin(Command("shutdown", "shop", "app1"))]
    reports = [online.dispatcher.wait(command) for command in (running, *leaving)]
    ended = sorted(outcomes(report, 1).get("app2", "-") for report in reports[1:])
    assert ended == ["successful", "superseded"]
    assert [event for name, event in online.executed() if name == "app2"] == ["execute_recipes", "configure"]
    [reason] = [result.reason for report in reports for result in report.results if result.outcome == "superseded"]
    assert reason is not None and "newer snapshot" in reason
    assert [report.exit_code for report in reports] == [0, 0, 0]


def test_every_targeted_instance_has_exactly_one_outcome(online: Kitchen) -> None:
    online.do("stop", "app1")
    report = online.do("configure", "lb1,app1,app2")
    assert outcomes(report) == {"lb1": "successful", "app1": "skipped", "app2": "successful"}
    assert sum(report.totals.values()) == len(report.results) == 3


def test_the_store_remembers_what_happened(online: Kitchen) -> None:
    online.do("deploy")
    app1 = next(each for each in online.store.instances.of(online.pushed.stack_id) if each.name == "app1")
    assert (app1.last_event, app1.last_outcome, app1.last_changed) == ("deploy", "successful", 3)
    assert app1.heartbeat_of == "contact" and app1.heartbeat_age() is not None
    run = online.store.runs.of_instance(app1.id)[0]
    kinds = [event["kind"] for event in online.store.reports.events(run.id)]
    assert (kinds[0], kinds[-1], len(kinds)) == ("run_started", "run_finished", 5)


def test_instance_ids_and_addresses_stand_in_the_snapshot(online: Kitchen) -> None:
    online.do("configure", "lb1")
    told = {each["name"]: each for each in online.hosts.host("lb1").requests[0]["snapshot"]["instances"]}
    known = {each.name: each for each in online.store.instances.of(online.pushed.stack_id)}
    assert {name: each["id"] for name, each in told.items()} == {name: each.id for name, each in known.items()}
    assert all(each["address"].startswith("10.0.0.") for each in told.values())


def test_a_defect_of_ours_ends_a_command_instead_of_hanging_it(online: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, run_id: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cookline.control.lifecycle.course.Course.perform", broken)
    report = online.do("configure")
    assert (dict(report.totals), report.exit_code) == ({"failed": 3}, 1)
    assert "No space left on device" in str(report.results[0].reason)
    assert online.dispatcher.unfinished() == []


@pytest.mark.parametrize("kind", ["setup", "configure"])
@pytest.mark.parametrize("same_process", [True, False])
def test_a_full_disk_here_leaves_a_command_to_resume(
    online: Kitchen, monkeypatch: pytest.MonkeyPatch, kind: str, same_process: bool
) -> None:
    def full(self: object, run_id: str) -> str:
        raise disk_full(online.store.directory)

    with monkeypatch.context() as patched:
        patched.setattr("cookline.control.lifecycle.course.Course.perform", full)
        with pytest.raises(DiskFull, match="is full"):
            online.do(kind)
    if not same_process:
        online.dispatcher.close()
        online.dispatcher = online.another()
    [report] = online.dispatcher.resume()
    assert (report.exit_code, set(outcomes(report).values())) == (0, {"successful"})
    assert sorted(online.executed()) == sorted(everyone(kind) + (everyone("configure") if kind == "setup" else []))
    assert online.dispatcher.unfinished() == []


def test_a_screen_that_breaks_ends_no_run(online: Kitchen) -> None:
    def broken(instance: str, event: object) -> None:
        raise BrokenPipeError

    online.dispatcher.progress.subscribe(broken)
    assert online.do("configure").exit_code == 0


def test_rollback_is_a_deploy_that_goes_one_release_back(online: Kitchen) -> None:
    assert online.do("rollback", apps=("shop",)).exit_code == 0
    request = online.hosts.host("app1").requests[0]
    assert (request["event"], request["app"], request["snapshot"]["apps"]["shop"]["rollback"]) == ("deploy", "shop", 1)


def test_facts_of_the_last_run_select_hosts(online: Kitchen) -> None:
    for name, codename in zip(FLEET, ("bookworm", "bookworm", "trixie"), strict=True):
        online.hosts.host(name).brief = {"os": {"codename": codename, "version": "12"}, "cpu": {"count": 2}}
    with pytest.raises(SelectorError, match="has reported the fact"):
        online.do("configure", "fact:os.codename=trixie")
    online.do("configure")
    online.executed()
    online.do("configure", "fact:os.codename=trixie")
    online.do("configure", "layer:app,fact:os.codename=bookworm,fact:cpu.count=2")
    assert online.executed() == [("app2", "configure"), ("app1", "configure")]
    for selector, message in [
        ("fact:os.codenam=trixie", "did you mean 'os.codename'"),
        ("fact:os.codename=trixi", "did you mean 'trixie'"),
        ("fact:os.codename", "write fact:os.codename=bookworm"),
    ]:
        with pytest.raises(SelectorError, match=message):
            online.do("configure", selector)


def test_a_host_cannot_fill_the_store_with_facts(online: Kitchen) -> None:
    online.hosts.host("app1").brief = {"os": {"codename": "x" * 10_000}}
    online.hosts.host("app2").brief = {"os": ["no", "group"], "cpu": {"count": 2, "deep": {"er": 1}}}
    online.do("configure")
    facts = {each.name: dict(each.facts) for each in online.store.instances.of(online.pushed.stack_id)}
    assert (facts["app1"], facts["app2"]) == ({}, {"cpu": {"count": 2}})


def test_dependencies_are_installed_by_the_setup_recipes(online: Kitchen) -> None:
    online.do("run", "app1", recipes=("cookline::install_dependencies",))
    request = online.hosts.host("app1").requests[0]
    assert request["recipes"] == ["cookline::install_dependencies", "web::setup", "web::deploy"]
    assert request["event"] == "execute_recipes"
    online.do("run", "app1", recipes=("cookline::update_dependencies",))
    assert online.hosts.host("app1").requests[1]["trees"] == {}
