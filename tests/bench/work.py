"""Writes the files of the bench cookbook that are too dull to keep: ten of 20 KB and a template of 2 KB."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

COOKBOOK = Path(__file__).parent / "cookbooks" / "bench"
WORDS = ("proxy", "cache", "buffer", "timeout", "header", "upstream", "listen", "worker", "limit", "keepalive")
NAMES = ("name", "port", "workers", "root", "version")


def write_cookbook(folder: Path) -> Path:
    """Copy the cookbook to `folder`/bench with its files and template; returns `folder`."""
    target = folder / "bench"
    shutil.copytree(COOKBOOK, target, dirs_exist_ok=True)
    (target / "files").mkdir(exist_ok=True)
    (target / "templates").mkdir(exist_ok=True)
    for number in range(10):
        (target / "files" / f"s{number}.txt").write_text(static_file(number))
    (target / "templates" / "app.conf.j2").write_text(template())
    return folder


def static_file(number: int) -> str:
    lines = (f"{number} {line} {hashlib.sha256(f'{number}.{line}'.encode()).hexdigest()}" for line in range(300))
    return "\n".join(lines)[:20479] + "\n"


def template() -> str:
    chance = random.Random(7)
    lines = ["# managed file", *(f"{name} = {{{{ {name} }}}}" for name in NAMES)]
    while sum(map(len, lines)) < 2000:
        lines.append(f"{chance.choice(WORDS)}_{chance.choice(WORDS)}_{len(lines)} = {chance.randrange(10**6)}")
    return "\n".join(lines) + "\n"
