"""Plain values of a command line without pydantic, by which typer checks every value: importing it takes 0.1 s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def spare_pydantic() -> None:
    """Read text, numbers and lists of text ourselves; whatever else comes (a wrong value, too) is left to typer.

    Versions of typer that work otherwise are left as they are.
    """
    build = getattr(typer.core, "build_runtime_param", None)
    if build is not None and not isinstance(build, _Builder):
        typer.core.build_runtime_param = _Builder(build)  # type: ignore[attr-defined]


class _Builder:
    """typer's build_runtime_param: what reads the values of one parameter."""

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self._build = build

    def __call__(self, descriptor: Any) -> Any:
        limits = ("min", "max", "parser", "click_type")
        if any(getattr(descriptor.parameter_info, name, None) is not None for name in limits):
            return self._build(descriptor)
        return _Plain(descriptor, self._build)


class _Plain:
    def __init__(self, descriptor: Any, build: Callable[[Any], Any]) -> None:
        self._descriptor, self._build = descriptor, build

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        wanted = self._descriptor.annotation
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if wanted == list[str] and isinstance(value, list | tuple) and all(type(item) is str for item in value):
            return list(value)
        if wanted in (str, int, float, bool) and type(value) is wanted:
            return value
        if wanted in (int, float) and type(value) is str and value.isascii() and value.isdigit():
            return wanted(value)
        return self._build(self._descriptor).coerce(value, param=param, ctx=ctx)
