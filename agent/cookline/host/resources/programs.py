"""Programs that a kind cannot do without, and the packages that bring them."""

from __future__ import annotations

from typing import Optional

from cookline.errors import ResourceError
from cookline.host.execution import ENVIRONMENT
from cookline.host.system import System


def find_program(host: System, program: str) -> Optional[str]:
    """Its path, by the PATH that every run has; None when it is not installed."""
    candidates = (f"{directory}/{program}" for directory in ENVIRONMENT["PATH"].split(":"))
    return next((path for path in candidates if host.status(path) is not None), None)


def require_program(host: System, program: str, package: str, what: str) -> None:
    """Raises ResourceError, naming the package, when `program` is not installed; `what` is the resource that needs it."""
    if find_program(host, program) is None:
        raise ResourceError(
            f"{what} needs the program {program}, which is not installed", hint=f"put Package({package!r}) before"
        )
