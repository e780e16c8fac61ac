"""The providers by the names that stack definitions call them by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cookline.control.providers.base import Provider
from cookline.errors import UsageError, did_you_mean

NAMES = ("static", "container", "vagrant", "ec2")


def open_provider(name: str, directory: Path, project: Path | None = None) -> Provider:
    """The provider called `name`, which keeps its records in the project's `.cookline` at `directory`.

    Paths in settings are relative to `project`, the folder above it without.
    """
    if name == "static":
        from cookline.control.providers.static import StaticProvider

        return StaticProvider()
    if name == "container":
        from cookline.control.providers.container.provider import ContainerProvider

        return ContainerProvider(directory)
    if name == "vagrant":
        from cookline.control.providers.vagrant.provider import VagrantProvider

        return VagrantProvider(directory, project)
    if name == "ec2":
        from cookline.control.providers.ec2.provider import Ec2Provider

        return Ec2Provider(directory)
    raise UsageError(f"there is no provider {name!r}{did_you_mean(name, NAMES)}", hint=f"providers: {', '.join(NAMES)}")


def setting_problems(name: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What can be said of a host's settings before its provider is opened: (which one, a sentence)."""
    if name == "static":
        from cookline.control.providers.static import problems

        yield from problems(settings)
    elif name == "container":
        from cookline.control.providers.container.settings import problems

        yield from problems(settings)
