"""Notify on a real host: the run's report has it, and so have the agent's records where there is an agent."""

from __future__ import annotations

from pathlib import Path

from tests.lab.hosts import LabHost
from tests.lab.runs import Controller, target_of

RECIPE = """
    from cookline import Notify

    def recipe(node):
        node.ensure(Execute("true"), later=Notify("renewed with " + node["token"], level="warning"))
"""
SETTINGS = '{"instance": "web1", "instance_id": "i-1", "stack": "s", "stack_id": "s-1"}'


def test_a_notification_is_in_the_report_and_among_the_agents_records(host: LabHost, tmp_path: Path) -> None:
    controller = Controller(target_of(host, tmp_path), RECIPE)
    secret = "canary-77aa41"
    try:
        for agent in (False, True):
            if agent:
                host.run(f"echo '{SETTINGS}' > /var/lib/cookline/agent.json", check=True)
            run = controller.begin(attributes={"token": secret}, secrets=[secret])
            assert run.join()["outcome"] == "successful"
            (told,) = [event for event in run.events if event["kind"] == "log"]
            assert told["level"] == "warning" and told["text"].startswith("renewed with ") and secret not in told["text"]
        _, records = controller.conversation().collect(0, 10)
        assert [(record["kind"], record["instance_id"], record["data"]["text"]) for record in records] == [
            ("log", "i-1", told["text"])
        ], "one record, of the run that had an agent"
    finally:
        controller.close()
