"""What a further resource costs that finds nothing to do, after the first of its kind, for each kind, on a real host.

python -m tests.bench resources [KIND ..]
"""

from __future__ import annotations

import itertools
import secrets
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cookline
from cookline.control.transport.conversation import Conversation
from cookline.control.transport.pool import Pool
from cookline.control.transport.trees import Tree, TreeSet
from cookline.host.resources import git_stamps
from cookline.host.resources.base import Resource
from cookline.protocol import RunRequest
from tests.contract.converger import target_of
from tests.lab.hosts import LabHost, open_pool

FURTHER = 10
ROUNDS = 5
TEMPLATES = 1000
# milliseconds on the host
GOAL_FILES, GOAL_OTHERS, GOAL_TEMPLATES = 0.1, 0.5, 150.0
# What is one file, or a part of one, and no more; Archive and RemoteDirectory look at as many files as they have.
FILES = frozenset(
    {"File", "CookbookFile", "Template", "Directory", "Link", "Absent", "Cron", "LineInFile", "BlockInFile", "IniSetting"}
    | {"RemoteFile"}
)
# kinds whose resources take seconds to make
HEAVY = frozenset({"Virtualenv", "Git", "CaCertificate", "AptRepository"})

# kind -> a resource of it, `n` being its number
INSTALLED = ("cron", "sudo", "procps", "dbus", "iproute2", "curl", "git", "nftables", "logrotate", "locales", "apt")
SAMPLES = {
    "Package": f"Package({INSTALLED}[n])",
    "File": "File(f'/srv/kinds/file{n}', 'text\\n' * 100, mode='0644', owner='root')",
    "CookbookFile": "CookbookFile(f'/srv/kinds/copy{n}', source='text', mode='0644')",
    "Template": "Template(f'/srv/kinds/rendered{n}', source='text.j2', values={'n': n}, mode='0640')",
    "Directory": "Directory(f'/srv/kinds/directory{n}', mode='0750', owner='root')",
    "RemoteDirectory": "RemoteDirectory(f'/srv/kinds/tree{n}', source='tree')",
    "RemoteFile": "RemoteFile(f'/srv/kinds/remote{n}', url='http://127.0.0.1:8099/text', sha256=sha256('/srv/text'))",
    "Link": "Link(f'/srv/kinds/link{n}', to='/srv/text')",
    "LineInFile": "LineInFile('/etc/hosts', f'198.18.255.{n} kinds{n}')",
    "BlockInFile": "BlockInFile('/srv/blocks', 'a line\\n', marker=f'number {n}', create=True)",
    "IniSetting": "IniSetting('/srv/settings.ini', section='a', key=f'key{n}', value=n, create=True)",
    "Archive": "Archive(f'/srv/kinds/archive{n}', source='/srv/text.tar')",
    "Absent": "Absent(f'/srv/kinds/absent{n}')",
    "Mount": "Mount(f'/srv/kinds/mount{n}', device='tmpfs', type='tmpfs', options='size=1m', mounted=True)",
    "SwapFile": "SwapFile(f'/srv/kinds/swap{n}', '64K', active=False)",
    "AptRepository": "AptRepository(f'kinds{n}', uris='file:/srv/repository', suites='./', trusted=True)",
    "DnfRepository": "DnfRepository(f'kinds{n}', baseurl='file:///srv/rpm', gpgcheck=False)",
    "PackageUpdates": "PackageUpdates('all', lists_age=1e9, report_reboot=False)",
    "Virtualenv": "Virtualenv(f'/srv/kinds/virtualenv{n}', pip=False)",
    "User": "User(f'kinds{n}', shell='/usr/sbin/nologin', create_home=False)",
    "Group": "Group(f'others{n}')",
    "AuthorizedKey": "AuthorizedKey('ops', key(n))",
    "Sudoers": "Sudoers(f'kinds{n}', users='ops', commands='/bin/true')",
    "EnvironmentVariable": "EnvironmentVariable(f'KINDS{n}', 'value')",
    "Service": "Service(['cron', 'ssh', 'dbus'][n % 3], running=True)",
    "SystemdUnit": "SystemdUnit(f'kinds{n}.service', '[Service]\\nExecStart=/bin/true\\n')",
    "SystemdTimer": "SystemdTimer(f'kinds{n}', '/bin/true', calendar='daily')",
    "Cron": "Cron(f'kinds{n}', '/bin/true', minute=n)",
    "Logrotate": "Logrotate(f'kinds{n}', '/var/log/kinds.log')",
    "Hostname": "Hostname(os.uname().nodename)",
    "HostsEntry": "HostsEntry(f'198.18.254.{n}', f'entry{n}')",
    "Timezone": "Timezone('Europe/Berlin')",
    "Locale": "Locale('C.UTF-8')",
    "Sysctl": "Sysctl(f'kernel.kinds{n}', n, live=False)",
    "KernelModule": "KernelModule(f'kinds{n}', loaded=False)",
    "Limits": "Limits(f'kinds{n}', {'core': 0})",
    "CaCertificate": "CaCertificate(f'kinds{n}', open('/srv/ca.pem').read())",
    "FirewallRule": "FirewallRule(f'kinds{n}', f'tcp dport {8000 + n} accept')",
    "Execute": "Execute('touch ' + f'/srv/kinds/executed{n}', creates=f'/srv/kinds/executed{n}')",
    "Script": "Script(f'script {n}', f'touch /srv/kinds/script{n}', creates=f'/srv/kinds/script{n}')",
    "Git": "Git(f'/srv/kinds/git{n}', '/srv/repository.git')",
    "Release": "Release(f'kinds{n}', artifact='/srv/text.tar', shared={}, directories=[])",
}
START = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install -yqq --no-install-recommends curl git nftables logrotate locales >/dev/null 2>&1
mkdir -p /srv/kinds /srv/repository /etc/yum.repos.d /srv/rpm
touch /srv/repository/Packages /srv/blocks /srv/settings.ini
printf '#!/bin/sh\\n' > /usr/bin/dnf && chmod 755 /usr/bin/dnf
seq 100 > /srv/text && tar -C /srv -cf /srv/text.tar text
systemd-run --quiet python3 -m http.server --directory /srv --bind 127.0.0.1 8099
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out /srv/ca.pem -subj /CN=kinds \\
    -days 100 >/dev/null 2>&1
git config --system safe.directory '*' && git init -q -b main /srv/repository.git && cd /srv/repository.git
git config user.email a@b && git config user.name a && cp /srv/text . && git add . && git commit -qm one
timeout 10 bash -c 'until echo > /dev/tcp/127.0.0.1/8099; do sleep 0.05; done' 2> /dev/null
"""
RECIPE = """
import base64, hashlib, os
from cookline import {kind}

def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()

def key(number):
    blob = (11).to_bytes(4, "big") + b"ssh-ed25519" + (32).to_bytes(4, "big") + bytes([number] * 32)
    return "ssh-ed25519 " + base64.b64encode(blob).decode() + f" kinds{{number}}"

def recipe(node):
    for n in range({count}):
        node.ensure({sample})
"""
_numbers = itertools.count()


@dataclass(frozen=True)
class Cost:
    """Milliseconds on the host of the first resource of a kind and of each further one."""

    kind: str
    first: float
    further: float

    @property
    def goal(self) -> float:
        return GOAL_FILES if self.kind in FILES else GOAL_OTHERS


class Bench:
    """One host, and a cookbook with a recipe for each kind."""

    def __init__(self, host: LabHost, recipes: Mapping[str, str]) -> None:
        files = {"cookbook.yml": "name: kinds\nversion: 1.0.0\n", "files/text": "text\n" * 100}
        files |= {"templates/text.j2": "number {{ n }}\n" * 50, "files/tree/a": "a\n", "files/tree/b": "b\n"}
        files |= {f"recipes/{name}.py": text for name, text in recipes.items()}
        self.trees = TreeSet()
        self.tree = self.trees.add(Tree.of_contents({path: text.encode() for path, text in files.items()}))
        self.conversation = Conversation(Pool(), target_of(host))

    def run(self, recipe: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The end of a run, and how each resource ended."""
        events: list[dict[str, Any]] = []
        request = RunRequest(
            run=f"{next(_numbers):010d}{secrets.token_hex(8).upper()}",
            instance="kinds",
            instance_id="i-kinds",
            stack="kinds",
            event="execute_recipes",
            recipes=[f"kinds::{recipe}"],
            trees={"cookbook:kinds": self.tree},
        )
        end = self.conversation.run(request, self.trees, events.append)
        assert end["outcome"] == "successful", end
        return end, [event for event in events if "seconds" in event and "name" in event]

    def cost(self, kind: str) -> Cost:
        self.run(kind)
        if kind == "Git":  # a tree that has just changed is looked at by git itself
            time.sleep(git_stamps.SETTLED_SECONDS)
            self.run(kind)
        rounds = []
        for _ in range(ROUNDS):
            events = self.run(kind)[1]
            assert {event["kind"] for event in events} == {"unchanged"}, events
            rounds.append([event["seconds"] * 1000 for event in events])
        firsts, furthers = [each[0] for each in rounds], [statistics.median(each[1:]) for each in rounds]
        return Cost(kind, statistics.median(firsts), statistics.median(furthers))

    def templates(self) -> float:
        """Milliseconds on the host of a quiet run of so many templates, all told."""
        self.run("templates")
        return statistics.median(self.run("templates")[0]["seconds"] * 1000 for _ in range(ROUNDS))


def kinds_with_state() -> list[str]:
    found = [(name, getattr(cookline, name)) for name in cookline.EXPORTS]
    kinds = [(name, kind) for name, kind in found if isinstance(kind, type) and issubclass(kind, Resource)]
    return [name for name, kind in kinds if name != "Resource" and kind.has_state]


def main(chosen: Sequence[str] = ()) -> None:
    kinds = [kind for kind in SAMPLES if not chosen or kind in chosen]
    counts = {kind: 1 + (3 if kind in HEAVY else FURTHER) for kind in kinds}
    recipes = {kind: RECIPE.format(kind=kind, count=counts[kind], sample=SAMPLES[kind]) for kind in kinds}
    sample = SAMPLES["Template"].replace("/srv/kinds/", "/srv/templates/")
    recipes["templates"] = RECIPE.format(kind="Template", count=TEMPLATES, sample=sample)
    with open_pool() as pool:
        (host,) = pool.take(["lab1"], "debian-12")
        host.run(f"mkdir /srv/templates\n{START}", check=True)
        bench = Bench(host, recipes)
        show([bench.cost(kind) for kind in kinds])
        if not chosen:
            if missing := sorted(set(kinds_with_state()) - set(SAMPLES)):
                print(f"  not measured: {', '.join(missing)}")
            print(f"  {TEMPLATES} templates, the whole run on the host: {bench.templates():.0f} ms (goal {GOAL_TEMPLATES:.0f})")


def show(costs: Sequence[Cost]) -> None:
    print("\na resource that finds nothing to do, milliseconds on the host")
    print(f"  {'':<22}{'the first':>11}{'each further':>14}{'goal':>7}")
    for cost in sorted(costs, key=lambda cost: cost.further, reverse=True):
        missed = "" if cost.further <= cost.goal else "   missed"
        print(f"  {cost.kind:<22}{cost.first:>11.2f}{cost.further:>14.3f}{cost.goal:>7.1f}{missed}")
