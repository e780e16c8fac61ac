"""Commands of a suite's author around its phases."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

from cookline.control.stack.kitchens import Hook
from cookline.kitchen.cases import Case
from cookline.kitchen.result import PhaseFailed


def run_hooks(moment: str, case: Case, ssh: Sequence[str], address: str, say: Callable[[str], None]) -> None:
    """Run the hooks of a moment (pre_converge) in order; `ssh` reaches the host. Raises PhaseFailed when one does not end well.

    Commands of this machine find COOKLINE_KITCHEN_HOST, COOKLINE_KITCHEN_ADDRESS and COOKLINE_KITCHEN_SSH ("ssh -F FILE NAME").
    """
    hooks: Sequence[Hook] = getattr(case.file.model.suites[case.suite].hooks, moment, ())
    told = {
        "COOKLINE_KITCHEN_HOST": case.name,
        "COOKLINE_KITCHEN_ADDRESS": address,
        "COOKLINE_KITCHEN_SSH": " ".join(ssh),
    }
    for hook in hooks:
        say(f"{moment}: {hook.command}")
        line = [*ssh, hook.command] if hook.remote else ["sh", "-c", hook.command]
        done = subprocess.run(
            line,
            cwd=case.file.directory,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        output = done.stdout.strip()
        if done.returncode:
            raise PhaseFailed(f"{moment}: `{hook.command}` ended with status {done.returncode}\n{output}".rstrip())
        if output:
            say(output)
