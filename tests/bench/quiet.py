"""A run that changes nothing, beside OpenSSH's `ssh host true` and beside the floor, on 1 and on 10 hosts."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cookline.control.transport.base import Target
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.control.transport.trees import Tree, TreeSet
from cookline.protocol import RunRequest
from tests.bench.measure import cpu_seconds, hosts_cpu_seconds, in_turn, resident_megabytes, table
from tests.bench.work import COUNT, specification, write_cookbook
from tests.lab.hosts import LabHost, open_pool

HOSTS = int(os.environ.get("COOKLINE_BENCH_HOSTS", "10"))
ROUNDS = int(os.environ.get("COOKLINE_BENCH_ROUNDS", "9"))
_numbers = itertools.count()


class Bench:
    """The hosts, a project that manages them, and the ways to converge them."""

    def __init__(self, hosts: list[LabHost], directory: Path) -> None:
        self.hosts, self.directory = hosts, directory
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text("".join(f"{host.address} {host.known_host}\n" for host in hosts))
        # the tests' own ssh_config names a quick key exchange; here OpenSSH is measured as it is installed
        lines = hosts[0].ssh_config.read_text().splitlines(keepends=True)
        (directory / "ssh_config").write_text("".join(line for line in lines if "KexAlgorithms" not in line))
        cookbooks = write_cookbook(directory / "cookbooks")
        self.tree = Tree.of_directory(cookbooks / "bench")
        self.pool = Pool()
        self.last: dict[str, Any] = {}
        self._write_project()

    # -- in this process -----------------------------------------------------------------------------------------------

    def target(self, host: LabHost) -> Target:
        return Target(
            instance=host.name,
            address=host.address,
            user="root",
            identity_file=host.identity_file,
            known_hosts=(str(self.known_hosts),),
        )

    def converge(
        self, host: LabHost, pool: Pool, on_event: Callable[[dict[str, Any]], None] = lambda event: None
    ) -> dict[str, Any]:
        request = RunRequest(
            run=f"BENCH{os.getpid()}X{next(_numbers)}",
            instance=host.name,
            instance_id=host.name,
            stack="bench",
            event="execute_recipes",
            recipes=["bench"],
            attributes={"bench": {"version": "1.0.0"}},
            trees={"cookbook:bench": self.tree.hash},
        )
        end = Conversation(pool, self.target(host)).run(request, TreeSet([self.tree]), on_event)
        assert end["outcome"] == "successful", end
        self.last = end
        return end

    def timed(self, pool: Pool) -> list[float]:
        """When, by our clock: it began, was logged in, told of its first event, of its last one, had closed the session."""
        moments = [time.perf_counter()]

        def note(event: dict[str, Any]) -> None:
            if event["kind"] in ("run_started", "run_finished"):
                moments.append(time.perf_counter())

        pool.connection(self.target(self.hosts[0]))
        moments.append(time.perf_counter())
        self.converge(self.hosts[0], pool, note)
        return [*moments, time.perf_counter()]

    def cpu_of(self, thing: Callable[[], object], count: int, rounds: int = 5) -> str:
        """User and system time of this process with its children, and of the hosts with sshd, for each host and round."""
        before, hosts_before = cpu_seconds(), [hosts_cpu_seconds(host) for host in self.hosts[:count]]
        for _ in range(rounds):
            thing()
        time.sleep(0.3)  # what the hosts do after the end (reaping, closing scopes) is their CPU, too
        hosts = sum(map(hosts_cpu_seconds, self.hosts[:count])) - sum(hosts_before)
        share = 1000 / rounds / count
        return f"controller {(cpu_seconds() - before) * share:6.1f}   host {hosts * share:6.1f}"

    def fresh(self, count: int) -> None:
        pool = Pool()
        self._all(count, pool)
        pool.close()

    def opened(self, count: int) -> None:
        self._all(count, self.pool)

    def _all(self, count: int, pool: Pool) -> None:
        if count == 1:
            self.converge(self.hosts[0], pool)
            return
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(lambda host: self.converge(host, pool), self.hosts[:count]))

    # -- whole commands ------------------------------------------------------------------------------------------------

    def _write_project(self) -> None:
        instances = {
            host.name: {
                "layers": ["web"],
                "provider": "static",
                "address": host.address,
                "user": "root",
                "identity_file": host.identity_file,
            }
            for host in self.hosts
        }
        definition = {
            "stack": "bench",
            "cookbooks": ["cookbooks"],
            "layers": {"web": {"recipes": {"configure": ["bench"]}}},
            "instances": instances,
        }
        (self.directory / "bench.yml").write_text(json.dumps(definition))

    def cookline(self, *words: str) -> str:
        line = [sys.executable, "-m", "cookline.cli", *words]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(line, cwd=self.directory, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def command(self, count: int) -> None:
        self.cookline("configure", "bench", "--on", ",".join(host.name for host in self.hosts[:count]))

    def openssh(self, count: int, *options: str) -> None:
        words = ["ssh", "-F", str(self.directory / "ssh_config"), *(f"-o{option}" for option in options)]
        processes = [subprocess.Popen([*words, host.name, "true"], stdin=subprocess.DEVNULL) for host in self.hosts[:count]]
        assert [process.wait() for process in processes] == [0] * count

    def floor(self, count: int) -> None:
        script = Path(__file__).with_name("floor.py")
        addresses = [host.address for host in self.hosts[:count]]
        line = [sys.executable, str(script), str(self.known_hosts), self.hosts[0].identity_file]
        done = subprocess.run(
            [*line, str(self.directory / "spec.json"), *addresses], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "0", f"the floor finds differences: {done.stdout}"

    def prepare_floor(self) -> None:
        (self.directory / "spec.json").write_text(json.dumps(specification()) + "\n")
        agent = Path(__file__).with_name("floor_agent.py").read_text()
        for host in self.hosts:
            host.run("cat > /var/tmp/floor_agent.py", stdin=agent, check=True)


def openssh_rows(bench: Bench, count: int) -> dict[str, Callable[[], object]]:
    """OpenSSH as it is installed, and with the key exchange that costs its client 60 ms less."""
    return {
        f"ssh host true (OpenSSH), {count} at once": lambda: bench.openssh(count),
        "the same with -o KexAlgorithms=curve25519-sha256": lambda: bench.openssh(count, "KexAlgorithms=curve25519-sha256"),
    }


def measure(bench: Bench, count: int) -> None:
    things = {
        **openssh_rows(bench, count),
        "run in this process, new connections": lambda: bench.fresh(count),
        "run in this process, open connections": lambda: bench.opened(count),
    }
    table(f"a quiet run of {COUNT} resources on {count} host(s), ms", in_turn(things, ROUNDS), against=next(iter(things)))
    for name in things:
        print(f"  CPU a host, ms: {name:<50}{bench.cpu_of(things[name], count)}")
    things = {
        "the floor as a whole command": lambda: bench.floor(count),
        "cookline configure, no server": lambda: bench.command(count),
    }
    table(f"whole commands on {count} host(s), ms", in_turn(things, ROUNDS), against=next(iter(things)))


def with_server(bench: Bench, count: int) -> None:
    things = {**openssh_rows(bench, count), "cookline configure through the server": lambda: bench.command(count)}
    table(f"whole commands on {count} host(s), with `cookline server`, ms", in_turn(things, ROUNDS), against=next(iter(things)))


def split(bench: Bench) -> None:
    """Where the time of one quiet run goes, by our clock; medians."""
    parts: dict[str, list[float]] = {name: [] for name in ("connect", "start", "checks", "report")}
    for _ in range(ROUNDS):
        pool = Pool()
        moments = bench.timed(pool)
        pool.close()
        for name, before, after in zip(parts, moments, moments[1:], strict=False):
            parts[name].append((after - before) * 1000)
    print("\nthe split of one quiet run on a new connection, ms")
    print("  " + ", ".join(f"{name} {statistics.median(values):.1f}" for name, values in parts.items()))
    print(
        "  (connect: login; start: Python, our code and the lock; checks: first to last event; report: the end of the session)"
    )
    slowest = ", ".join(f"{each['name']} {each['seconds'] * 1000:.1f}" for each in bench.last["slowest"][:3])
    print(f"  on the host {bench.last['seconds'] * 1000:.1f}; slowest resources: {slowest}")


def main() -> None:
    with open_pool() as pool, tempfile.TemporaryDirectory() as folder:
        hosts = pool.take([f"lab{number}" for number in range(1, HOSTS + 1)], "debian-12")
        bench = Bench(hosts, Path(folder))
        bench.opened(1)
        alone, begun = resident_megabytes(), time.perf_counter()
        bench.opened(HOSTS)
        print(f"first converge of {HOSTS} hosts (but one): {time.perf_counter() - begun:.2f} s")
        bench.prepare_floor()
        bench.cookline("push", "bench.yml")
        bench.cookline("trust", "--stack", "bench", "--yes", *(host.name for host in hosts))
        bench.cookline("setup", "bench")
        split(bench)
        for count in (1, HOSTS):
            measure(bench, count)
        bench.cookline("server", "--detach", "--port", "0")
        try:
            for count in (1, HOSTS):
                with_server(bench, count)
        finally:
            bench.cookline("server", "--stop")
        share = (resident_megabytes() - alone) / max(1, HOSTS - 1)
        print(
            f"\ncontroller's memory: {resident_megabytes():.0f} MB with {HOSTS} open connections, {share:.2f} MB for one more"
        )
        bench.pool.close()
