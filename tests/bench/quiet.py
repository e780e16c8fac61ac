"""A run that changes nothing, beside OpenSSH's `ssh host true` and beside the floor, on 1 and on 10 hosts."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cookline.control.transport.base import Target
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.control.transport.trees import Tree, TreeSet
from cookline.protocol import RunRequest, content_hash
from tests.bench.measure import cpu_seconds, in_turn, resident_megabytes, table
from tests.bench.work import static_file, write_cookbook
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

    def converge(self, host: LabHost, pool: Pool) -> dict[str, Any]:
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
        end = Conversation(pool, self.target(host)).run(request, TreeSet([self.tree]), lambda event: None)
        assert end["outcome"] == "successful", end
        self.last = end
        return end

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

    def openssh(self, count: int) -> None:
        processes = [
            subprocess.Popen(["ssh", "-F", str(host.ssh_config), host.name, "true"], stdin=subprocess.DEVNULL)
            for host in self.hosts[:count]
        ]
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
        """The floor's spec is read from the first host after its converge."""
        listing = self.hosts[0].run("find /srv/bench /etc/cron.d/bench* -printf '%y %p %m %u\\n'", check=True).stdout
        sums = self.hosts[0].run("find /srv/bench /etc/cron.d/bench* -type f -exec sha256sum {} +", check=True).stdout
        digests = {line.split()[1]: line.split()[0] for line in sums.splitlines()}
        assert digests["/srv/bench/static/s0.txt"] == content_hash(static_file(0).encode())
        entries = [line.split() for line in listing.splitlines()]
        spec = {
            "users": {f"bench{number}": 2001 + number for number in range(5)},
            "groups": {f"bench{number}": 3001 + number for number in range(5)},
            "files": [[path, mode, owner, digests.get(path)] for kind, path, mode, owner in entries if kind in "fd"],
            "links": [[f"/srv/bench/current{number}", f"/srv/bench/d{number + 2:02d}"] for number in range(5)],
            "packages": ["cron", "sudo"],
            "services": [f"bench{number}" for number in range(3)],
        }
        (self.directory / "spec.json").write_text(json.dumps(spec) + "\n")
        agent = Path(__file__).with_name("floor_agent.py").read_text()
        for host in self.hosts:
            host.run("cat > /var/tmp/floor_agent.py", stdin=agent, check=True)


def measure(bench: Bench, count: int) -> None:
    things = {
        f"ssh host true (OpenSSH), {count} at once": lambda: bench.openssh(count),
        "run in this process, new connections": lambda: bench.fresh(count),
        "run in this process, open connections": lambda: bench.opened(count),
    }
    table(f"a quiet run of 102 resources on {count} host(s), ms", in_turn(things, ROUNDS), against=next(iter(things)))
    before, rounds = cpu_seconds(), 5
    for _ in range(rounds):
        bench.opened(count)
    print(f"  controller CPU, open connections: {(cpu_seconds() - before) * 1000 / rounds / count:.1f} ms a host")
    things = {
        "the floor as a whole command": lambda: bench.floor(count),
        "cookline configure, no server": lambda: bench.command(count),
    }
    table(f"whole commands on {count} host(s), ms", in_turn(things, ROUNDS), against=next(iter(things)))


def with_server(bench: Bench, count: int) -> None:
    things = {
        f"ssh host true (OpenSSH), {count} at once": lambda: bench.openssh(count),
        "cookline configure through the server": lambda: bench.command(count),
    }
    table(f"whole commands on {count} host(s), with `cookline server`, ms", in_turn(things, ROUNDS), against=next(iter(things)))


def split(bench: Bench) -> None:
    """Where the time of one quiet run goes, on the host by its own clock, on the way by ours."""
    pool = Pool()
    begun = time.perf_counter()
    pool.connection(bench.target(bench.hosts[0]))
    connected = time.perf_counter()
    bench.converge(bench.hosts[0], pool)
    ended = time.perf_counter()
    inside = bench.last["seconds"]
    print("\nthe split of one quiet run on a new connection, ms")
    print(f"  connect and log in {(connected - begun) * 1000:.1f}, run on the host {inside * 1000:.1f},", end=" ")
    print(f"start of Python, hand-over and report {(ended - connected - inside) * 1000:.1f}")
    slowest = ", ".join(f"{each['name']} {each['seconds'] * 1000:.1f}" for each in bench.last["slowest"][:3])
    print(f"  slowest resources: {slowest}")
    pool.close()


def main() -> None:
    with open_pool() as pool, tempfile.TemporaryDirectory() as folder:
        hosts = pool.take([f"lab{number}" for number in range(1, HOSTS + 1)], "debian-12")
        bench = Bench(hosts, Path(folder))
        begun = time.perf_counter()
        bench.opened(HOSTS)
        print(f"first converge of {HOSTS} hosts: {time.perf_counter() - begun:.2f} s")
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
        print(f"\ncontroller's memory: {resident_megabytes():.0f} MB resident, with {HOSTS} open connections")
        bench.pool.close()
