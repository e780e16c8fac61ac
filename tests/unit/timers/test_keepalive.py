"""Who falls silent is lost, the others are told, and it is brought back; nobody is lost because nobody listened."""

from __future__ import annotations

from typing import Any

from clockwork import HOUR, Clockwork

STATIC = {"provider": "static"}


def up(made: Clockwork) -> Clockwork:
    assert made.kitchen.do("setup").exit_code == 0
    made.look()
    made.kitchen.executed()
    return made


def test_five_minutes_of_silence_make_an_instance_lost_and_the_others_are_told(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    shop.away("app2")
    shop.minutes(4)
    assert shop.states["app2"] == "online"
    shop.minutes(1)
    assert shop.states == {"app1": "online", "app2": "connection_lost", "app3": "online"}
    assert shop.instance("app2").why == "nothing was heard of its agent for 5 min"
    assert shop.kitchen.executed() == [("app1", "configure"), ("app3", "configure")]
    assert shop.commands() == [("configure", None, "keepalive")]


def test_a_stack_has_its_own_patience(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC, stack="keepalive: 20m\n"))
    shop.away("app2")
    shop.minutes(19)
    assert shop.states["app2"] == "online"
    shop.minutes(1)
    assert shop.states["app2"] == "connection_lost"


def test_two_that_are_lost_together_cost_one_configure(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    shop.away("app2", "app3")
    shop.minutes(5)
    assert shop.kitchen.executed() == [("app1", "configure")]


def test_a_static_host_is_only_marked_and_set_up_again_when_it_returns(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    shop.away("app2")
    shop.minutes(60)
    assert shop.states["app2"] == "connection_lost"
    assert shop.commands() == [("configure", None, "keepalive")], "nobody restarts a host that is only described"
    shop.kitchen.executed()
    shop.away("app2", away=False)
    shop.minutes(1)
    assert shop.states["app2"] == "online"
    assert shop.kitchen.executed() == [("app2", "setup"), ("app1", "configure"), ("app2", "configure"), ("app3", "configure")]
    assert shop.instance("app2").why is None


def test_a_host_that_comes_and_goes_causes_no_storm_of_configures(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    for _ in range(20):
        shop.away("app2")
        shop.minutes(8)
        shop.away("app2", away=False)
        shop.minutes(2)
    configured = [name for name, event in shop.kitchen.executed() if event == "configure" and name == "app1"]
    # 200 minutes: it is taken back at once, then after 5, 10, 20, 40 minutes, then every hour; each costs two configures
    assert len(configured) <= 2 * (5 + 200 // 60)
    shop.minutes(130)
    assert shop.states["app2"] == "online", "it is not forgotten"


def test_an_instance_that_was_calm_for_hours_is_taken_back_at_once_again(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    for _ in range(2):
        shop.away("app2")
        shop.minutes(7)
        shop.away("app2", away=False)
        shop.minutes(1)
        assert shop.states["app2"] == "online"
        shop.minutes(130)


def test_an_agent_that_is_silent_on_a_host_that_answers_is_set_up_again(clockwork: Any) -> None:
    shop = up(clockwork())
    for _ in range(3):
        shop.beat("app2")
        shop.minutes(1)
    assert shop.instance("app2").heartbeat_of == "agent"
    shop.minutes(6)
    assert ("setup", "app2", "keepalive") in shop.commands() and shop.states["app2"] == "online"
    assert ("stop", ("app2",)) not in shop.kitchen.provider.calls, "a host that answers is not restarted"


def test_a_server_that_was_suspended_loses_nobody(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    shop.away("app1", "app2", "app3")
    shop.minutes(1)
    shop.clock.time += 9 * HOUR  # the lid was closed
    shop.look()
    shop.clock.turn(9 * HOUR)  # the process was stopped, and all clocks went on
    shop.look()
    assert set(shop.states.values()) == {"online"}


def test_a_clock_that_is_set_loses_nobody(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    for jump in (HOUR, -2 * HOUR, 24 * HOUR):
        shop.clock.time += jump
        for _ in range(10):
            for name in shop.states:
                shop.beat(name)
            shop.minutes(1)
    assert set(shop.states.values()) == {"online"} and shop.commands() == []


def test_a_server_that_has_just_started_listens_for_as_long_as_any(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    shop.away("app2")
    shop.minutes(4)
    shop.restart_server()
    shop.minutes(5)
    assert shop.states["app2"] == "online"
    shop.minutes(1)
    assert shop.states["app2"] == "connection_lost"


def test_a_host_that_answers_and_does_not_let_us_in_is_not_silent(clockwork: Any) -> None:
    shop = up(clockwork())
    shop.away("app2")
    shop.minutes(1)
    shop.away("app2", away=False)
    shop.kitchen.hosts.host("app2").changed_key = True
    shop.minutes(20)
    assert shop.states["app2"] == "online" and shop.commands() == []


def test_a_lost_host_is_restarted_by_its_provider_and_all_are_configured(clockwork: Any) -> None:
    shop = up(clockwork())
    provider = shop.kitchen.provider
    provider.calls.clear()
    shop.away("app2")
    shop.kitchen.provider.create = revived(shop, provider.create)
    shop.minutes(6)
    shop.kitchen.executed()
    shop.minutes(1)
    assert provider.calls == [("stop", ("app2",)), ("create", ("app2",))]
    assert shop.states == {"app1": "online", "app2": "online", "app3": "online"}
    assert [each for each in shop.commands() if each[0] == "heal"] == [("heal", "app2", "auto-healing")]


def revived(shop: Clockwork, create: Any) -> Any:
    def boot(requests: Any, progress: Any) -> Any:
        shop.away(*(request.name for request in requests), away=False)
        return create(requests, progress)

    return boot


def test_where_nobody_answers_one_is_restarted_before_the_others(clockwork: Any) -> None:
    """It may be the controller's own network: restarting the whole fleet would make an outage of it."""
    shop = up(clockwork())
    shop.away(*shop.states)
    shop.minutes(20)
    heals = [on for kind, on, _by in shop.commands() if kind == "heal"]
    assert heals[:3] == ["app1", "app2", "app3"] and "app1,app2" not in heals
    shop.kitchen.provider.create = revived(shop, shop.kitchen.provider.create)
    shop.minutes(60)
    assert set(shop.states.values()) == {"online"}


def test_one_layer_that_does_not_want_it_keeps_an_instance_from_being_healed(clockwork: Any) -> None:
    shop = up(clockwork(app="    auto_heal: false\n"))
    shop.away("app2")
    shop.minutes(60)
    assert shop.states["app2"] == "connection_lost"
    assert ("stop", ("app2",)) not in shop.kitchen.provider.calls


def test_a_host_that_does_not_heal_is_tried_again_ever_more_seldom(clockwork: Any) -> None:
    shop = up(clockwork())
    shop.kitchen.provider.cannot_start = {"app2"}
    shop.away("app2")
    shop.minutes(4 * 60)
    heals = [each for each in shop.commands() if each[0] == "heal"]
    assert 5 <= len(heals) <= 8, "at once, after 5, 10, 20 and 40 minutes, then every hour"
    assert shop.states["app2"] == "start_failed" and "does not boot" in (shop.instance("app2").last_reason or "")


def test_an_instance_that_was_stopped_is_left_alone(clockwork: Any) -> None:
    shop = up(clockwork())
    shop.kitchen.do("stop", "app2")
    shop.away("app2")
    shop.minutes(20)
    assert shop.states["app2"] == "stopped" and shop.commands() == []


def test_a_host_that_is_away_is_logged_once_and_when_it_is_back(clockwork: Any) -> None:
    shop = up(clockwork(**STATIC))
    logged: list[str] = []
    shop.collector.log = logged.append
    shop.away("app2")
    shop.minutes(3)
    shop.away("app2", away=False)
    shop.minutes(2)
    assert logged == ["app2: app2: does not answer", "app2: answers again"]
