"""A controller tidies up after its commands, and can still take back what it did long ago."""

from __future__ import annotations

import sqlite3

import pytest
from kitchen import KitchenMaker, outcomes

from cookline.control.lifecycle import engine
from cookline.control.store.retention import KEEP_RUNS

ROLLOUT = {"batch": ["1"], "auto_rollback": True}


def test_a_rollout_goes_back_to_a_deployment_whose_report_is_gone(make_kitchen: KitchenMaker) -> None:
    kitchen = make_kitchen({"app1": "app"})
    kitchen.do("setup")
    kitchen.do("deploy", apps=("shop",), attributes={"web": {"version": 1}})
    for _ in range(KEEP_RUNS + 2):
        kitchen.do("configure")
    kitchen.store.timers.clear("", "tidy")
    kitchen.do("configure")
    assert len(kitchen.store.reports.kept()) == KEEP_RUNS

    kitchen.hosts.host("app1").outcome = "failed"
    report = kitchen.do("deploy", apps=("shop",), attributes={"web": {"version": 2}}, rollout=ROLLOUT)
    assert outcomes(report) == {"app1": "failed"}
    [*_, back] = kitchen.hosts.host("app1").requests
    assert back["attributes"]["web"]["version"] == 1


def test_a_long_running_engine_forgets_what_has_ended(make_kitchen: KitchenMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = make_kitchen()
    kitchen.dispatcher.engine()
    kitchen.do("setup")
    monkeypatch.setattr(engine, "KEPT_DAYS", 0)
    monkeypatch.setattr(engine, "FORGOTTEN_AT_ONCE", 2)
    kitchen.store.timers.clear("", "tidy")
    kitchen.do("stop", "app1")
    with sqlite3.connect(kitchen.directory / ".cookline" / "engine.db") as database:
        [count] = database.execute("SELECT count(*) FROM workflow_status").fetchone()
    assert count <= 2, "at most the command that has just ended"
