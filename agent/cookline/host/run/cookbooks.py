"""Loads recipes out of verified trees: `cookbooks.NAME` is the tree of that cookbook that the run's revision names."""

from __future__ import annotations

import importlib
import os
import sys
import types
from typing import Callable, Dict, Mapping, Tuple, cast

from cookline.errors import CookbookError, did_you_mean
from cookline.host import paths
from cookline.host.run import origin

PACKAGE = "cookbooks"
PREFIX = "cookbook:"
# CO_VARARGS of a code object: it takes *arguments.
VARIABLE_ARGUMENTS = 0x04


class Cookbooks:
    """The cookbooks of one run. `trees` maps "cookbook:NAME" to the hash of its tree."""

    def __init__(self, trees: Mapping[str, str]) -> None:
        self.directories: Dict[str, str] = {
            key[len(PREFIX) :]: f"{paths.TREES}/{tree}" for key, tree in trees.items() if key.startswith(PREFIX)
        }
        self._paths: Dict[Tuple[str, str, str], str] = {}
        self._install()

    def _install(self) -> None:
        """Make the package `cookbooks` anew, with a module for each cookbook and nothing of what was loaded before."""
        for loaded in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[loaded]
        root = types.ModuleType(PACKAGE)
        root.__path__ = []
        sys.modules[PACKAGE] = root
        for name, path in self.directories.items():
            module = types.ModuleType(f"{PACKAGE}.{name}")
            module.__path__ = [path]
            sys.modules[f"{PACKAGE}.{name}"] = module
            setattr(root, name, module)
            origin.register(path, f"{PACKAGE}/{name}")

    def recipe(self, address: str) -> Callable[..., None]:
        """The function behind "cookbook::recipe"; a bare cookbook means its `default`. Raises CookbookError."""
        cookbook, name = split(address)
        directory = self.directory(cookbook)
        if not os.path.isfile(f"{directory}/recipes/{name}.py"):
            names = [entry[:-3] for entry in sorted(os.listdir(f"{directory}/recipes")) if entry.endswith(".py")]
            raise CookbookError(f"cookbook {cookbook!r} has no recipe {name!r}{did_you_mean(name, names)}")
        module = importlib.import_module(f"{PACKAGE}.{cookbook}.recipes.{name}")
        function = getattr(module, "recipe", None)
        if not callable(function):
            raise CookbookError(
                f"{PACKAGE}/{cookbook}/recipes/{name}.py defines no recipe", hint="write `def recipe(node: Node) -> None:`"
            )
        code = getattr(function, "__code__", None)
        if code is not None and code.co_argcount + code.co_posonlyargcount == 0 and not code.co_flags & VARIABLE_ARGUMENTS:
            place = f"{PACKAGE}/{cookbook}/recipes/{name}.py:{code.co_firstlineno}"
            raise CookbookError(f"{place}: a recipe is given the node", hint="write `def recipe(node: Node) -> None:`")
        return cast("Callable[..., None]", function)

    def path(self, cookbook: str, folder: str, source: str) -> str:
        """The file `FOLDER/SOURCE`; "other:name" looks into another cookbook. It never leaves its folder."""
        other, _, name = source.rpartition(":")
        cookbook = other or cookbook
        known = self._paths.get((cookbook, folder, name))
        if known is not None:
            return known
        base = os.path.realpath(f"{self.directory(cookbook)}/{folder}")
        path = os.path.realpath(f"{base}/{name}")
        if not path.startswith(base + "/"):
            raise CookbookError(f"{source!r} leaves {PACKAGE}/{cookbook}/{folder}")
        if not os.path.isfile(path):
            present = os.listdir(base) if os.path.isdir(base) else []
            raise CookbookError(f"there is no {PACKAGE}/{cookbook}/{folder}/{name}{did_you_mean(name, present)}")
        self._paths[cookbook, folder, name] = path
        return path

    def below(self, cookbook: str, folder: str, source: str) -> Dict[str, str]:
        """Path below `FOLDER/SOURCE` -> absolute path of each file there, in order; "other:name" as in `path`."""
        other, _, name = source.rpartition(":")
        cookbook = other or cookbook
        base = os.path.realpath(f"{self.directory(cookbook)}/{folder}")
        top = os.path.realpath(f"{base}/{name}")
        if not f"{top}/".startswith(f"{base}/"):
            raise CookbookError(f"{source!r} leaves {PACKAGE}/{cookbook}/{folder}")
        if not os.path.isdir(top):
            present = os.listdir(base) if os.path.isdir(base) else []
            raise CookbookError(f"there is no folder {PACKAGE}/{cookbook}/{folder}/{name}{did_you_mean(name, present)}")
        paths = [f"{parent}/{each}" for parent, _, names in os.walk(top) for each in names]
        return {path[len(top) + 1 :]: path for path in sorted(paths)}

    def tree(self, cookbook: str) -> str:
        return os.path.basename(self.directory(cookbook))

    def directory(self, cookbook: str) -> str:
        """Where the tree of a cookbook lies on this host. Raises CookbookError."""
        if cookbook not in self.directories:
            raise CookbookError(
                f"this run has no cookbook {cookbook!r}{did_you_mean(cookbook, self.directories)}",
                hint=f"a cookbook that uses it says `depends: [{cookbook}]` in its cookbook.yml",
            )
        return self.directories[cookbook]


def split(address: str) -> Tuple[str, str]:
    """("nginx", "setup") of "nginx::setup"."""
    cookbook, separator, recipe = address.partition("::")
    return cookbook, recipe if separator else "default"
