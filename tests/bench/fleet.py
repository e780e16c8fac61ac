"""A fleet of light hosts (namespaces, chroot, sshd; no systemd, so no services and no agent): push, setup, configure, deploy.

    python -m tests.bench fleet [COUNT ..]      50, 100 and 200 hosts by default

Each figure of the controller is taken in a process of its own, so that one does not pay for the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookline.control.providers.base import Host, HostRequest
from cookline.control.providers.container.provider import ContainerProvider
from tests.bench.measure import cpu_seconds, memory_kilobytes, resident_megabytes
from tests.lab.hosts import owned_directory

COUNTS = (50, 100, 200)
# What the controller may spend and hold for each host (DESIGN, speed).
GOALS = {"open": 10.0, "login": 25.0, "memory": 1.0}

RECIPES = {
    "setup": """
        node.ensure(Directory("/srv/fleet", mode="0755"))
        for number in range(8):
            node.ensure(Directory(f"/srv/fleet/d{number}"))
        node.ensure(Execute("echo once > /srv/fleet/once", creates="/srv/fleet/once"))
    """,
    "configure": """
        hosts = node.stack.instances(online=True)
        node.ensure(File("/srv/fleet/hosts", content="".join(f"{host.address} {host.name}" + chr(10) for host in hosts)))
        for number in range(8):
            values = {"number": number, "name": node.instance.name}
            node.ensure(Template(f"/srv/fleet/d{number}/app.conf", source="app.conf.j2", values=values))
        for number in range(8):
            node.ensure(File(f"/srv/fleet/d{number}/file", content=f"{number}" + chr(10), mode="0640"))
    """,
    "deploy": """
        node.ensure(Release("site", shared={}, directories=[]))
    """,
}
IMPORTS = "from cookline import Directory, Execute, File, Release, Template\n\n\ndef recipe(node):"


@dataclass
class Fleet:
    """A project folder whose stack is `hosts`."""

    folder: Path
    hosts: Sequence[Host]

    def write(self) -> Fleet:
        cookbook = self.folder / "cookbooks" / "fleet"
        for name in ("recipes", "templates"):
            (cookbook / name).mkdir(parents=True, exist_ok=True)
        (cookbook / "cookbook.yml").write_text("name: fleet\nversion: 1.0.0\n")
        for event, body in RECIPES.items():
            (cookbook / "recipes" / f"{event}.py").write_text(IMPORTS + body)
        (cookbook / "templates" / "app.conf.j2").write_text("# {{ name }}\n" + "listen {{ 8000 + number }}\n" * 40)
        (self.folder / "site").mkdir(exist_ok=True)
        (self.folder / "site" / "index.html").write_text("<p>fleet</p>\n")
        return self

    def define(self, count: int) -> None:
        """The stack is the first `count` hosts from now on."""
        instances = {
            host.name: {
                "layers": ["web"],
                "provider": "static",
                "address": host.address,
                "user": "root",
                "identity_file": host.identity_file,
            }
            for host in self.hosts[:count]
        }
        layers = {"web": {"recipes": {event: [f"fleet::{event}"] for event in RECIPES}}}
        apps = {"site": {"layers": ["web"], "source": {"type": "local", "path": "site"}}}
        definition = {"stack": "fleet", "layers": layers, "instances": instances, "apps": apps}
        (self.folder / "fleet.yml").write_text(json.dumps(definition))
        (self.folder / ".cookline").mkdir(mode=0o700, exist_ok=True)
        pins = "".join(f"{host.address} {host.known_host}\n" for host in self.hosts)
        (self.folder / ".cookline" / "known_hosts").write_text(pins)

    def python(self, *words: str) -> str:
        """Run a module in this project; its output."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "HOME": str(self.folder)}
        line = [sys.executable, "-m", *words]
        done = subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def cookline(self, *words: str) -> tuple[float, float]:
        """Wall and CPU seconds of a whole command."""
        begun, before = time.perf_counter(), _children_cpu()
        self.python("cookline.cli", *words)
        return time.perf_counter() - begun, _children_cpu() - before


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def fleet(count: int) -> Iterator[Fleet]:
    """So many light hosts, booted, and a project for them."""
    with owned_directory() as directory:
        provider = ContainerProvider(directory)
        try:
            begun, before = time.perf_counter(), memory_kilobytes("MemAvailable")
            requests = [HostRequest(f"f{number:03}", {"kind": "light"}) for number in range(1, count + 1)]
            hosts = provider.create(requests, progress=lambda _: None)
            each = (before - memory_kilobytes("MemAvailable")) / 1024 / count
            print(f"{count} light hosts up in {time.perf_counter() - begun:.1f} s, {each:.1f} MiB each", flush=True)
            yield Fleet(directory, hosts).write()
        finally:
            provider.destroy(provider.project.names(), progress=lambda _: None)


# -- in a process of its own, in the project's folder ------------------------------------------------------------------------


def measure_open_connections() -> dict[str, float]:
    """A quiet configure on connections that are open, without dispatcher and engine: CPU and memory for each host."""
    from concurrent.futures import ThreadPoolExecutor

    from cookline.control.lifecycle import requests
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.store.identifiers import new_identifier
    from cookline.control.store.store import Store
    from cookline.protocol import RunRequest

    with Store(".cookline") as store, Dispatcher(store) as dispatcher:
        number = store.revisions.get("fleet").number
        revision = dispatcher.revisions.get("fleet", number)
        instances = store.instances.of(store.revisions.stack_id("fleet"))
        trees = dict(revision.trees_for(["fleet::setup"], []))

        def converge(instance: Any) -> None:
            request = RunRequest(
                run=new_identifier(),
                instance=instance.name,
                instance_id=instance.id,
                stack="fleet",
                event="execute_recipes",
                recipes=["fleet::setup"],
                trees=trees,
            )
            conversation = dispatcher.conversation(instance)
            end = conversation.run(request, requests.KeptTrees(store, revision), lambda event: None)
            assert end["outcome"] == "successful" and not end["totals"].get("changed"), end

        with ThreadPoolExecutor(len(instances)) as threads:
            converge(instances[0])  # what is loaded and read once
            before = resident_megabytes()
            list(threads.map(converge, instances))
            held, spent, begun = resident_megabytes() - before, cpu_seconds(), time.perf_counter()
            list(threads.map(converge, instances))
            wall, spent = time.perf_counter() - begun, cpu_seconds() - spent
    return {"open": spent * 1000 / len(instances), "memory": held / len(instances), "open wall": wall}


def measure_logins() -> dict[str, float]:
    """A quiet configure as a whole command in process: engine launched, every connection new."""
    from cookline.control.lifecycle.command import Command
    from cookline.control.lifecycle.dispatch import Dispatcher
    from cookline.control.store.store import Store

    with Store(".cookline") as store, Dispatcher(store) as dispatcher:
        dispatcher.engine()
        dispatcher.dispatch(Command("configure", "fleet", on=store.instances.of(store.revisions.stack_id("fleet"))[0].name))
        dispatcher.pool().close()
        before, spent, begun = resident_megabytes(), cpu_seconds(), time.perf_counter()
        report = dispatcher.dispatch(Command("configure", "fleet"))
        wall, spent, held = time.perf_counter() - begun, cpu_seconds() - spent, resident_megabytes() - before
        count = len(report.results)
        assert dict(report.totals) == {"successful": count} and not sum(result.changed for result in report.results)
    return {"login": spent * 1000 / count, "login wall": wall, "login memory": held / count}


# -- the table ---------------------------------------------------------------------------------------------------------------


def measure(made: Fleet, count: int) -> dict[str, float]:
    """All figures for `count` hosts: seconds of whole commands, milliseconds and megabytes of the controller for each host."""
    made.define(count)
    figures: dict[str, float] = {"hosts": count}
    for words in (("push", "fleet.yml"), ("setup", "fleet"), ("configure", "fleet"), ("deploy", "fleet", "--app", "site")):
        figures[words[0]], figures[f"{words[0]} cpu"] = made.cookline(*words)
    for name in ("open", "login"):
        figures |= json.loads(made.python("tests.bench.fleet", name))
    return figures


def show(rows: Sequence[dict[str, float]]) -> None:
    print("\nwhole commands on a fleet, seconds; in brackets the controller's CPU, ms a host")
    for row in rows:
        parts = [f"{name} {row[name]:.1f} ({row[f'{name} cpu'] * 1000 / row['hosts']:.1f})" for name in WALLS]
        print(f"  {row['hosts']:>4.0f} hosts   " + "   ".join(parts))
    print("the controller for each host of a quiet run")
    for row in rows:
        print(
            f"  {row['hosts']:>4.0f} hosts   open connections, no engine {row['open']:.1f} ms (goal {GOALS['open']:.0f})"
            f"   login and engine {row['login']:.1f} ms (goal {GOALS['login']:.0f})"
            f"   memory in flight {row['memory']:.2f} and {row['login memory']:.2f} MB (goal {GOALS['memory']:.0f})"
        )
    first, last = rows[0], rows[-1]
    if last["hosts"] > first["hosts"]:
        growth = {name: last[name] / first[name] for name in ("open", "login", "memory")}
        text = ", ".join(f"{name} {ratio:.2f}" for name, ratio in growth.items())
        print(f"growth from {first['hosts']:.0f} to {last['hosts']:.0f} hosts, of what each costs (1 is linear): {text}")


WALLS = ("push", "setup", "configure", "deploy")


def main(counts: Sequence[int] = COUNTS) -> None:
    with fleet(max(counts)) as made:
        rows = []
        for count in counts:
            rows.append(measure(made, count))
            show(rows[-1:])
        show(rows)


if __name__ == "__main__":
    print(json.dumps({"open": measure_open_connections, "login": measure_logins}[sys.argv[1]]()))
