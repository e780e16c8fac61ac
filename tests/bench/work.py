"""The work that benchmarks measure, as data: a web host of 103 resources. cookline's cookbook does it, and so do the peers.

20 directories, 40 templates of 2 KB, 10 files of 20 KB, 5 links, users, groups, cron files and sysctl files, 3 services with
their unit files, 2 packages.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from functools import cache
from pathlib import Path
from typing import Any

COOKBOOK = Path(__file__).parent / "cookbooks" / "bench"
WORDS = ("proxy", "cache", "buffer", "timeout", "header", "upstream", "listen", "worker", "limit", "keepalive")
NAMES = ("name", "port", "workers", "root", "version")
UNIT = """[Unit]
Description=bench service {number}
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
ROOT = {"mode": "0644", "owner": "root", "group": "root"}

PACKAGES = ("cron", "sudo")
SERVICES = ("bench0", "bench1", "bench2")
GROUPS = [{"name": f"bench{number}", "gid": 3001 + number} for number in range(5)]
USERS: list[dict[str, Any]] = [
    {"name": group["name"], "uid": 2001 + number, "group": group["name"], "home": "/srv/bench", "shell": "/usr/sbin/nologin"}
    for number, group in enumerate(GROUPS)
]


def _theirs(number: int, mode: str) -> dict[str, str]:
    return {"mode": mode, "owner": f"bench{number % 5}", "group": f"bench{number % 5}"}


DIRECTORIES = [
    *({"path": path, **ROOT, "mode": "0755"} for path in ("/srv/bench", "/srv/bench/static")),
    *({"path": f"/srv/bench/d{number:02d}", **_theirs(number, "0750")} for number in range(2, 20)),
]
LINKS = [{"path": f"/srv/bench/current{number}", "target": f"/srv/bench/d{number + 2:02d}"} for number in range(5)]
# `source` is a name in contents()
FILES = [
    *({"path": f"/srv/bench/static/s{number}.txt", "source": f"s{number}.txt", **ROOT} for number in range(10)),
    *({"path": f"/etc/cron.d/bench{number}", "source": f"cron{number}", **ROOT} for number in range(5)),
    *({"path": f"/etc/sysctl.d/60-bench{number}.conf", "source": f"sysctl{number}", **ROOT} for number in range(5)),
]
UNITS = [{"path": f"/etc/systemd/system/{name}.service", "source": f"{name}.service", **ROOT} for name in SERVICES]


def _values(number: int) -> dict[str, str]:
    folder = f"/srv/bench/d{2 + number % 18:02d}"
    values = {"name": f"app{number:02d}", "port": str(8000 + number), "workers": str(1 + number % 4)}
    return {**values, "root": folder, "version": "1.0.0"}


TEMPLATES: list[dict[str, Any]] = [
    {"path": f"{values['root']}/{values['name']}.conf", "values": values, **_theirs(number, "0640")}
    for number, values in enumerate(map(_values, range(40)))
]
COUNT = sum(map(len, (PACKAGES, SERVICES, GROUPS, USERS, DIRECTORIES, LINKS, FILES, UNITS, TEMPLATES)))


@cache
def contents() -> dict[str, str]:
    """The text of each source."""
    texts = {f"s{number}.txt": _static(number) for number in range(10)}
    texts |= {f"cron{number}": f"{number} 3 * * * root /bin/true\n" for number in range(5)}
    texts |= {f"sysctl{number}": f"# bench {number}\nkernel.bench{number} = {number}\n" for number in range(5)}
    return texts | {f"{name}.service": UNIT.format(number=number) for number, name in enumerate(SERVICES)}


def _static(number: int) -> str:
    lines = (f"{number} {line} {hashlib.sha256(f'{number}.{line}'.encode()).hexdigest()}" for line in range(300))
    return "\n".join(lines)[:20479] + "\n"


@cache
def template(before: str = "{{ ", after: str = " }}") -> str:
    """The template, with its five values between the marks of a tool's language."""
    chance = random.Random(7)
    lines = ["# managed file", *(f"{name} = {before}{name}{after}" for name in NAMES)]
    while len(lines) < 70:
        lines.append(f"{chance.choice(WORDS)}_{chance.choice(WORDS)}_{len(lines)} = {chance.randrange(10**6)}")
    return "\n".join(lines) + "\n"


def rendered(values: dict[str, str]) -> str:
    text = template("<", ">")
    for name in NAMES:
        text = text.replace(f"<{name}>", values[name])
    return text


def specification() -> dict[str, Any]:
    """What floor_agent.py compares a host with. A template's last line end is each tool's own choice."""
    texts = [(each, contents()[each["source"]]) for each in (*FILES, *UNITS)]
    texts += [(each, rendered(each["values"])) for each in TEMPLATES]
    digests = {each["path"]: hashlib.sha256(text.rstrip().encode()).hexdigest() for each, text in texts}
    owned = [*DIRECTORIES, *(each for each, _ in texts)]
    return {
        "users": {each["name"]: [each["uid"], each["home"], each["shell"]] for each in USERS},
        "groups": {each["name"]: each["gid"] for each in GROUPS},
        "files": [[each["path"], each["mode"], each["owner"], each["group"], digests.get(each["path"])] for each in owned],
        "links": [[each["path"], each["target"]] for each in LINKS],
        "packages": PACKAGES,
        "services": SERVICES,
    }


def write_cookbook(folder: Path) -> Path:
    """Copy the cookbook to `folder`/bench with its files and template; returns `folder`."""
    target = folder / "bench"
    shutil.copytree(COOKBOOK, target, dirs_exist_ok=True)
    write_sources(target / "files")
    (target / "templates").mkdir(exist_ok=True)
    (target / "templates" / "app.conf.j2").write_text(template())
    return folder


def write_sources(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents().items():
        (folder / name).write_text(text)
