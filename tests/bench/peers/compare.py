"""The same work by each tool on the same fresh hosts: a first converge and one that finds nothing to do, on 1 and 10 hosts.

python -m tests.bench peers [--tools cookline,cfengine,..] [--hosts 1,10] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import busy_cpu_seconds, hosts_cpu_seconds
from tests.bench.peers.accounting import Processes
from tests.bench.peers.ansible import Ansible, Mitogen
from tests.bench.peers.bundlewrap import Bundlewrap
from tests.bench.peers.cfengine import Cfengine
from tests.bench.peers.cookline import Cookline, CooklineWithServer
from tests.bench.peers.image import NAME, prepare
from tests.bench.peers.itamae import Itamae
from tests.bench.peers.puppet import Puppet
from tests.bench.peers.pyinfra import Pyinfra
from tests.bench.peers.salt import SaltCall, SaltSsh
from tests.bench.peers.tool import INSTALLED, INSTALLER, Ground, Tool
from tests.bench.work import COUNT, specification
from tests.lab.hosts import LabHost, open_pool

TOOLS: dict[str, Tool] = {
    **{"cookline": Cookline(), "server": CooklineWithServer(), "cfengine": Cfengine(), "salt-call": SaltCall()},
    **{"puppet": Puppet(), "salt-ssh": SaltSsh(), "mitogen": Mitogen(), "bundlewrap": Bundlewrap()},
    **{"pyinfra": Pyinfra(), "ansible": Ansible(), "itamae": Itamae()},
}
OURS = ("cookline", "server")
FEW_HOSTS = 3
# A tool of which a run takes longer is run once: the whole comparison shall end within a quarter of an hour.
REPEATED_SECONDS = 8.0
TIMEOUT_SECONDS = 900
PHASES = ("first converge", "nothing to do")
QUIET_SECONDS, QUIET_SHARE = 0.2, 0.05  # a host that has booted still starts things for a while


@dataclass(frozen=True)
class Figures:
    """One command: seconds; CPU seconds of the controller, of all hosts and of others on this machine; what is wrong on the
    hosts afterwards."""

    wall: float
    controller: float
    hosts: float
    others: float
    wrong: tuple[str, ...]


def measure(line: str, ground: Ground, processes: Processes) -> Figures:
    with open(ground.folder / "output.log", "ab") as log:
        before, begun, busy = sum(map(hosts_cpu_seconds, ground.hosts)), time.perf_counter(), busy_cpu_seconds()
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        process = subprocess.Popen(["sh", "-c", line], cwd=ground.folder, **streams)  # type: ignore[call-overload]
        status = process.wait(TIMEOUT_SECONDS)
        wall = time.perf_counter() - begun
        busy = busy_cpu_seconds() - busy
    controller, hosts = processes.spent(), sum(map(hosts_cpu_seconds, ground.hosts)) - before
    wrong = differences(ground.hosts) or ([f"exit status {status}"] if status else [])
    if wrong:
        print("\n".join((ground.folder / "output.log").read_text(errors="replace").splitlines()[-12:]))
    return Figures(wall, controller, hosts, max(0.0, busy - controller - hosts), tuple(wrong))


def differences(hosts: Sequence[LabHost]) -> list[str]:
    """What the hosts lack of the work, by a program that knows none of the tools."""
    agent, spec = Path(__file__).parents[1].joinpath("floor_agent.py").read_text(), json.dumps(specification()) + "\n"

    def look(host: LabHost) -> list[str]:
        host.run("cat > /var/tmp/floor_agent.py", stdin=agent, check=True)
        found = json.loads(host.run("python3 /var/tmp/floor_agent.py", stdin=spec, check=True).stdout)
        return [f"{host.name} {each}" for each in found]

    with ThreadPoolExecutor(len(hosts)) as threads:
        return [each for found in threads.map(look, hosts) for each in found]


def wait_until_quiet(hosts: Sequence[LabHost]) -> None:
    spent, deadline = -1.0, time.monotonic() + 30
    while time.monotonic() < deadline:
        now = sum(map(hosts_cpu_seconds, hosts))
        if 0 <= now - spent < QUIET_SECONDS * QUIET_SHARE:
            return
        spent = now
        time.sleep(QUIET_SECONDS)


def run(tool: Tool, hosts: list[LabHost], folder: Path, processes: Processes) -> list[Figures]:
    """Both phases of one tool on fresh hosts."""
    known_hosts, ssh_config = folder / "known_hosts", folder / "ssh_config"
    known_hosts.write_text("".join(f"{host.address} {host.known_host}\n" for host in hosts))
    # the tests' own ssh_config names a quick key exchange; here OpenSSH is measured as it is installed
    lines = hosts[0].ssh_config.read_text().splitlines(keepends=True)
    ssh_config.write_text("".join(line for line in lines if "KexAlgorithms" not in line))
    (folder / "work").mkdir()
    ground = Ground(folder / "work", hosts, ssh_config, known_hosts)
    tool.write(ground)
    try:
        wait_until_quiet(hosts)
        processes.begin()
        return [measure(line, ground, processes) for line in (tool.line(ground), tool.again(ground))]
    finally:
        tool.end()


def compare(chosen: dict[str, Tool], counts: Sequence[int], runs: int) -> None:
    processes = Processes()
    with open_pool(packages=()) as pool:
        for count in counts:
            figures: dict[str, list[list[Figures]]] = defaultdict(list)
            for key, tool in chosen.items():
                for _ in range(runs):
                    hosts = pool.take([f"peer{number}" for number in range(1, count + 1)], NAME)
                    with tempfile.TemporaryDirectory() as folder:
                        figures[key].append(run(tool, hosts, Path(folder), processes))
                    pool.give_back()
                    walls = [each.wall for each in figures[key][-1]]
                    print(f"  {count:>2} hosts  {tool.name:<26}{walls[0]:8.2f} s, then {walls[1]:7.2f} s", flush=True)
                    if sum(walls) > REPEATED_SECONDS:
                        break
            for phase, name in enumerate(PHASES):
                show(
                    f"{name}, {COUNT} resources on {count} host(s)",
                    chosen,
                    {key: [each[phase] for each in figures[key]] for key in figures},
                )


def show(title: str, chosen: dict[str, Tool], figures: dict[str, list[Figures]]) -> None:
    """Medians, the quickest first; the ratio is to cookline without a server. Where others worked meanwhile, trust the CPU."""

    def wall(key: str) -> float:
        return statistics.median(each.wall for each in figures[key])

    base = wall("cookline") if "cookline" in figures else None
    print(f"\n{title}")
    walls = f"{'wall s':>9}{'min':>8}{'max':>8}{'ratio':>8}"
    print(f"  {'':<28}{'runs':>5}{walls}{'CPU s of the controller':>25}{'hosts':>8}{'others':>8}  right")
    for key in sorted(figures, key=wall):
        rows = figures[key]
        least, most = min(each.wall for each in rows), max(each.wall for each in rows)
        ratio = f"{wall(key) / base:>8.1f}" if base else f"{'':>8}"
        spent = [statistics.median(getattr(each, name) for each in rows) for name in ("controller", "hosts", "others")]
        wrong = next((each.wrong for each in rows if each.wrong), ())
        right = f"no: {', '.join(wrong[:3])}" if wrong else "yes"
        print(
            f"  {chosen[key].name:<28}{len(rows):>5}{wall(key):>9.2f}{least:>8.2f}{most:>8.2f}{ratio}"
            f"{spent[0]:>25.2f}{spent[1]:>8.2f}{spent[2]:>8.2f}  {right}"
        )


def select(names: Sequence[str], count: int) -> tuple[dict[str, Tool], list[str]]:
    """The tools that take part with so many hosts, and a sentence for each that does not."""
    chosen, left_out = {}, []
    for key in names or TOOLS:
        reason = TOOLS[key].missing()
        if not reason and not names and TOOLS[key].slow and count > FEW_HOSTS:
            reason = f"minutes on {count} hosts; --tools {key} --hosts {count} runs it"
        if reason:
            left_out.append(f"{TOOLS[key].name}: {reason}")
        else:
            chosen[key] = TOOLS[key]
    return chosen, left_out


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench peers", description=__doc__)
    parser.add_argument("--tools", default="", help=f"comma-separated, of: {', '.join(TOOLS)}")
    parser.add_argument("--hosts", default="1,10", help="how many, comma-separated")
    parser.add_argument("--runs", type=int, default=3, help="of each tool that is quick")
    given = parser.parse_args(arguments)
    names = [name for name in given.tools.split(",") if name]
    if unknown := [name for name in names if name not in TOOLS]:
        parser.error(f"there is no tool {', '.join(unknown)}; choose of: {', '.join(TOOLS)}")
    if not names and not INSTALLED.is_dir():
        print(f"\nthe comparison with other tools is left out: they are not installed; {INSTALLER} does it")
        return
    prepare()
    for count in map(int, given.hosts.split(",")):
        chosen, left_out = select(names, count)
        print(f"\nthe same work by each tool, {count} host(s)")
        print("  " + "; ".join(f"{tool.name} {tool.version()}" for tool in chosen.values()))
        for sentence in left_out:
            print(f"  left out: {sentence}")
        compare(chosen, [count], given.runs)
