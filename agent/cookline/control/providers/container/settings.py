"""What a definition may say of one host in a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cookline.control.providers.base import HostRequest
from cookline.control.providers.container import image
from cookline.errors import UsageError, did_you_mean

SETTINGS = ("image", "packages", "kind")


def problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a host's settings: (which one, a sentence)."""
    for key in settings:
        if key not in SETTINGS:
            near = did_you_mean(key, SETTINGS) or f"; settings are {', '.join(SETTINGS)}"
            yield key, f"a container has no setting {key!r}{near}"
    name = str(settings.get("image") or image.DEFAULT)
    if name not in image.RECIPES:
        yield "image", image.unknown(name)
    wanted = settings.get("packages") or []
    if not isinstance(wanted, (list, tuple)) or not all(isinstance(each, str) for each in wanted):
        yield "packages", "`packages` wants a list of names of Debian packages, or of paths of .deb files"
    elif settings.get("kind") == "light" and wanted:
        yield "packages", "a light host has no packages; leave out `kind` or `packages`"
    if settings.get("kind") not in (None, "", "light"):
        yield "kind", f"there is no kind {str(settings['kind'])!r} of container; the one kind is light"


def check_settings(request: HostRequest) -> None:
    """Raises UsageError for the first thing that is wrong."""
    for _, sentence in problems(request.settings):
        raise UsageError(f"{request.name}: {sentence}")


def packages_of(request: HostRequest) -> Sequence[str]:
    return [str(name) for name in request.settings.get("packages") or ()]


def kind_of(request: HostRequest) -> str:
    return str(request.settings.get("kind") or "")


def image_of(request: HostRequest) -> str:
    return str(request.settings.get("image") or image.DEFAULT)
