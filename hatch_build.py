"""Puts what is not Python of our own into the distribution: the wheels that hosts need, the cookbooks and the stacks.

The wheels are pinned by hash in wheels.lock and fetched by pip, wherever its configuration says; what is there and hashes right
is not fetched again.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TRANSPORT = Path("agent/cookline/control/transport")
LOCK = TRANSPORT / "wheels.lock"
WHEELS = TRANSPORT / "wheels"
ARCHITECTURES = ("x86_64", "aarch64")
# The oldest Python and C library that hosts may have; pip takes the newest listed platform that a wheel fits.
PYTHON_VERSION, ABIS = "3.9", ("cp39", "abi3", "none")
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
SHARED = ("cookbooks", "stacks", "vagrant")


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        wheels = fetch(root)
        if version == "editable":
            return  # the checkout itself is on the path, and has everything
        included = build_data["force_include"]
        for wheel in wheels:
            included[str(wheel)] = f"cookline/control/transport/wheels/{wheel.name}"
        for name in SHARED:
            for path in sorted((root / name).rglob("*")):
                inside = path.relative_to(root)
                if path.name.endswith(".vagrant.yml"):
                    continue  # Vagrant's copy of a definition, with paths of this machine
                if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in inside.parts):
                    included[str(path)] = f"cookline/share/{inside.as_posix()}"


def fetch(root: Path) -> list[Path]:
    """The pinned wheels below `root`, downloaded where they lack or do not hash right. Raises RuntimeError with a sentence."""
    pinned = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", (root / LOCK).read_text(encoding="utf-8")))
    place = root / WHEELS
    place.mkdir(exist_ok=True)
    if not pinned <= set(_found(place)):
        for architecture in ARCHITECTURES:
            _download(root, architecture)
    found = _found(place)
    for digest, wheel in found.items():
        if digest not in pinned:
            wheel.unlink()  # an older pin
    missing = pinned - set(found)
    if missing:
        raise RuntimeError(f"{LOCK} pins wheels that pip did not bring: {', '.join(sorted(missing))}")
    return sorted(wheel for digest, wheel in found.items() if digest in pinned)


def _found(place: Path) -> dict[str, Path]:
    return {hashlib.sha256(wheel.read_bytes()).hexdigest(): wheel for wheel in place.glob("*.whl")}


def _download(root: Path, architecture: str) -> None:
    """One pip run for each requirement: markupsafe's wheel is pinned for one architecture and serves both."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--python-version", PYTHON_VERSION, "--implementation", "cp"]
    for abi in ABIS:
        command += ["--abi", abi]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_{architecture}"]
    requirements = _requirements(root / LOCK, architecture)
    command += ["--dest", str(root / WHEELS), "--requirement", "/dev/stdin"]
    done = subprocess.run(command, input=requirements, capture_output=True, text=True)
    if done.returncode != 0:
        reason = "a wheel does not hash to what is pinned" if "DO NOT MATCH" in done.stderr else "pip could not get the wheels"
        raise RuntimeError(f"{reason} in {LOCK} ({architecture}):\n{done.stderr.strip()[-2000:]}")


def _requirements(lock: Path, architecture: str) -> str:
    lines = lock.read_text(encoding="utf-8").splitlines()
    if architecture != ARCHITECTURES[0]:
        lines = [line for line in lines if not line.startswith("markupsafe")]
    return "\n".join(lines) + "\n"
